"""egostream lens: what a calibration file holds, in words, numbers and a picture."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from calibration_files import SAMPLES
from conftest import ROOT
from lenses import OF_PICTURES, SIZE

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.pinhole import PinholeLens
from egostream.errors import EgostreamError
from egostream.terminal.lens import convert, describe, show_lens


def lens_command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "egostream", "lens", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_fields_of_view_are_those_of_the_equations():
    """A pinhole's tan(fov / 2) = side / 2f; an equidistant lens's theta = r / f."""
    found = describe(Calibration("p", (640, 480), PinholeLens(300.0, 300.0, 319.5, 239.5)))
    view = found["field_of_view_deg"]
    assert view["horizontal"] == pytest.approx(2 * np.degrees(np.arctan(320 / 300)), abs=1e-6)
    assert view["vertical"] == pytest.approx(2 * np.degrees(np.arctan(240 / 300)), abs=1e-6)
    assert view["diagonal"] == pytest.approx(2 * np.degrees(np.arctan(400 / 300)), abs=1e-6)
    assert found["circle_theta_deg"] == pytest.approx(np.degrees(np.arctan(240 / 300)), abs=0.01)
    equidistant = describe(Calibration("e", (800, 600), KannalaBrandtLens(200.0, 200.0, 399.5, 299.5)))
    assert equidistant["field_of_view_deg"]["horizontal"] == pytest.approx(2 * np.degrees(400 / 200), abs=1e-6)
    assert equidistant["field_of_view_deg"]["diagonal"] == pytest.approx(
        2 * 130, abs=0.2
    )  # no lens of ours sees further
    assert equidistant["circle_theta_deg"] == pytest.approx(np.degrees(300 / 200), abs=0.01)
    assert equidistant["picture_without_direction"] > 0 and equidistant["round_trip_px"] < 1e-9


@pytest.mark.parametrize(("name", "lens"), OF_PICTURES, ids=[name for name, _ in OF_PICTURES])
def test_every_lens_is_described(name, lens):
    found = describe(Calibration(name, SIZE, lens))
    json.dumps(found, allow_nan=False)
    assert 0 < found["circle_theta_deg"] <= found["max_theta_deg"] < 180
    assert found["round_trip_px"] < (2.0 if "ocam" in name else 0.02)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_it_is_converted_without_loss(tmp_path, sample):
    source = tmp_path / f"camera.{sample.ending}"
    source.write_text(sample.text)
    camera = load_calibration(f"{source}{sample.asked}")
    convert(camera, tmp_path / "ours.json")
    assert load_calibration(tmp_path / "ours.json").lens == camera.lens
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(EgostreamError, match="cannot write .*none/ours.json"):
        convert(canonical_calibration(), tmp_path / "none" / "ours.json")
    with pytest.raises(EgostreamError, match="cannot write"):
        convert(canonical_calibration(), tmp_path)


def test_it_is_said_drawn_and_converted(tmp_path):
    source = tmp_path / "chain.yaml"
    source.write_text(SAMPLES["kalibr ds"].text)
    done = lens_command(f"{source}#cam4", "-o", tmp_path / "ours.json", "--plot", tmp_path / "rays.png")
    assert done.returncode == 0, done.stderr
    for part in (
        "double_sphere, 1280x1024 pixels (Kalibr YAML)",
        "205.9° across",
        "87% covered",
        "round trip",
        "wrote ",
    ):
        assert part in done.stdout
    picture = cv2.imread(str(tmp_path / "rays.png"))
    assert picture.shape[0] > 600 and picture.shape[1] > 1200 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    numbers = json.loads(lens_command(tmp_path / "ours.json", "--json").stdout)
    assert numbers["model"] == "double_sphere" and numbers["lens"]["xi"] == -0.18 and numbers["warnings"] == []


def test_one_line_for_what_is_wrong(tmp_path):
    source = tmp_path / "chain.yaml"
    source.write_text(SAMPLES["kalibr ds"].text)
    for arguments, message in (
        ([source], "holds 6 cameras"),
        ([f"{source}#cam7"], "has no camera 'cam7'"),
        ([tmp_path / "none.json"], "no calibration file"),
        ([f"{source}#cam0", "--plot", tmp_path / "rays.txt"], "in an existing folder is needed"),
    ):
        done = lens_command(*arguments)
        assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1


def test_warnings_are_shown(tmp_path, capsys):
    path = tmp_path / "short.json"
    path.write_text(
        '{"model": "kannala_brandt", "size": [1920, 1200], "focal": [1133.1, 1128.0], "center": [960.7, 600.8], '
        '"k": [-1.152516, 2.913204, -2.482336, 0.178503], "warnings": ["the board went to 40 degrees only"]}'
    )
    show_lens(str(path), None, None, False)
    shown = capsys.readouterr().out
    assert "WARNING           the board went to 40 degrees only" in shown and "stops growing 49 degrees" in shown
