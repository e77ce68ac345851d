"""What a run checks of a camera before it starts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from egostream.calibration.view import InputGeometry
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.supervise.prepare import prepare_stream

WEIGHTS = SimpleNamespace(input=InputGeometry("canonical", "crop"))
SHORT = {
    "schema": 1, "name": "short", "model": "kannala_brandt", "size": [1920, 1200], "focal": [1133.11, 1128.02],
    "center": [960.73, 600.82], "k": [-1.152516, 2.913204, -2.482336, 0.178503],
}  # fmt: skip
WIDE = SHORT | {"name": "wide", "size": [848, 800], "focal": [286, 286], "center": [417, 403], "k": [0, 0, 0, 0]}


def prepared(folder, data, **settings):
    path, said = folder / "camera.json", []
    path.write_text(json.dumps(data))
    stream = prepare_stream(RunConfig(source="7", calibration=str(path), **settings), WEIGHTS, said.append)
    return stream, said


def test_a_camera_that_sees_little_needs_force(tmp_path):
    with pytest.raises(EgostreamError, match=r"camera short covers only 16%.*stops growing 49 degrees.*--force"):
        prepared(tmp_path, SHORT)
    stream, said = prepared(tmp_path, SHORT, force=True)
    assert stream.camera.name == "short" and len(said) == 2
    assert said[0].startswith("WARNING: calibration short: its radius stops growing") and "16%" in said[1]


def test_warnings_that_the_file_holds_are_said(tmp_path):
    assert prepared(tmp_path, WIDE)[1] == []
    _, said = prepared(tmp_path, WIDE | {"warnings": ["the board never reached the rim"]})
    assert said == ["WARNING: calibration wide: the board never reached the rim"]
