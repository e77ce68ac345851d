"""T_head_camera in a calibration: read, refused, written, and by the schema."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from conftest import ROOT

from egostream.calibration.file import as_json, canonical_calibration, load_calibration
from egostream.errors import EgostreamError
from egostream.head.standing import typed_rotation

SCHEMA = json.loads((ROOT / "calib" / "schema.json").read_text())
ROTATION = typed_rotation(80, 5, -3)
ROWS = [[*row, place] for row, place in zip(ROTATION.round(6).tolist(), (0.02, 0.05, -0.1))] + [[0, 0, 0, 1]]


def written(folder, transform) -> str:
    data = json.loads((ROOT / "calib" / "canonical.json").read_text()) | {"T_head_camera": transform}
    path = folder / "mounted.json"
    path.write_text(json.dumps(data))
    return path


def test_it_is_read_and_written(tmp_path):
    camera = load_calibration(written(tmp_path, ROWS))
    assert np.abs(np.array(camera.T_head_camera)[:3, :3] - ROTATION).max() < 1e-6 and not camera.warnings
    rotation = np.array(camera.T_head_camera)[:3, :3]
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-12  # exact, though six decimals were written
    again = tmp_path / "again.json"
    again.write_text(as_json(camera))
    assert load_calibration(again) == camera
    jsonschema.validate(json.loads(again.read_text()), SCHEMA)
    assert canonical_calibration().T_head_camera is None and "T_head_camera" not in as_json(canonical_calibration())


@pytest.mark.parametrize(
    ("transform", "problem"),
    [
        (None, "four rows"),
        (ROWS[:3], "four rows"),
        ([row[:3] for row in ROWS], "4 numbers"),
        ([[str(value) for value in row] for row in ROWS], "expected a number"),
        ([*ROWS[:3], [0, 0, 0, 2]], "last row"),
        ([[float("nan"), 0, 0, 0], *ROWS[1:]], "not finite"),
        ([[-value for value in ROWS[0][:3]] + [0.0], *ROWS[1:]], "no rotation"),
        ([[2 * value for value in row[:3]] + [0.0] for row in ROWS[:3]] + ROWS[3:], "no rotation"),
        ([[*row[:3], 50.0] for row in ROWS[:3]] + ROWS[3:], "give metres"),
    ],
)
def test_what_is_no_mount_is_refused(tmp_path, transform, problem):
    with pytest.raises(EgostreamError, match=problem):
        load_calibration(written(tmp_path, transform))
