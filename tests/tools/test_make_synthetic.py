"""What the data generator makes of a calibration: any format is kept in ours, and warnings are repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calibration_files import OURS, SAMPLES

from egostream.calibration.file import load_calibration
from egostream.errors import EgostreamError
from tools import make_synthetic
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


@pytest.fixture
def drawn(monkeypatch):
    """Recordings without pictures: what is rendered is not looked at here. Returns what was asked for, by turns."""
    asked: list[list[str]] = []

    def render_all(settings, jobs, workers):
        asked.append([f"{split}/{number}" for _, split, number in jobs])
        for folder, _, number in jobs:
            if number == 7:
                raise KeyboardInterrupt
            folder.mkdir(parents=True)
            (folder / "sequence.json").write_text("{}")
            yield None

    monkeypatch.setattr(make_synthetic, "start_studio", lambda settings: None)
    monkeypatch.setattr(make_synthetic, "render_all", render_all)
    return asked


def listed(out: Path) -> dict[str, int]:
    return {split: len(names) for split, names in json.loads((out / "manifest.json").read_text())["sequences"].items()}


def test_more_recordings_are_added_and_the_manifest_keeps_those_that_were_there(tmp_path, drawn, monkeypatch):
    (calibration := tmp_path / "my.json").write_text(OURS)
    out = tmp_path / "data"
    make = lambda *counts, calibration=calibration: make_synthetic.main(
        ["--out", str(out), "--calibration", str(calibration), *map(str, counts)]
    )
    make("--train", 3, "--val", 1, "--test", 2)
    assert listed(out) == {"train": 3, "val": 1, "test": 2}
    monkeypatch.chdir(tmp_path)  # the same file by another path
    make("--train", 5, "--val", 0, "--test", 0, calibration="my.json")
    assert drawn[-1] == ["train/3", "train/4"] and listed(out) == {"train": 5, "val": 1, "test": 2}
    with pytest.raises(KeyboardInterrupt):
        make("--train", 9, "--val", 0, "--test", 0)
    assert listed(out) == {"train": 5, "val": 1, "test": 2}  # 5 and 6 are there, and are listed when it is finished
    with pytest.raises(EgostreamError, match="was made with another fps"):
        make("--train", 9, "--fps", 12)
    calibration.write_text(OURS.replace('"head"', '"other"'))
    with pytest.raises(EgostreamError, match="was made before .* changed"):
        make("--train", 9)
