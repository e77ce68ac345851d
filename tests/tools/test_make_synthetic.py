"""What the data generator makes of a calibration: any format is kept in ours, and warnings are repeated."""

from __future__ import annotations

from calibration_files import OURS, SAMPLES

from egostream.calibration.file import load_calibration
from tools.make_synthetic import calibration_text, say_warnings


def test_the_folders_calibration_is_ours(tmp_path):
    source, kept = tmp_path / "a.yaml", tmp_path / "calibration.json"
    for sample in (SAMPLES["ros equidistant"], SAMPLES["opencv omnidir"]):
        source.write_text(sample.text)
        kept.write_text(calibration_text(source))
        assert load_calibration(kept).lens == load_calibration(source).lens
    source.write_text("\ufeff" + OURS)
    assert calibration_text(source) == OURS


def test_warnings_of_the_calibration_are_repeated(tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(OURS.replace('"schema": 1', '"schema": 1, "warnings": ["the rim was not covered"]'))
    say_warnings(load_calibration(path))
    assert capsys.readouterr().err == "WARNING: calibration head: the rim was not covered\n"
    path.write_text(OURS)
    say_warnings(load_calibration(path))
    assert capsys.readouterr().err == ""
