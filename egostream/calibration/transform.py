"""A transform of points as files write it: four rows of four numbers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from egostream.calibration.camera import Transform
from egostream.calibration.fields import numbers, shown

#: How far the rotation of a file may be from one: six decimals were written, or fewer.
ROTATION_TOLERANCE = 1e-3
EXACT = 1e-12
#: A head is smaller than this: further away is another unit.
FARTHEST_M = 1.0


def parse_transform(value: Any) -> Transform:
    """A rigid transform of a camera on a head, its rotation made exact. Raises ValueError."""
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"T_head_camera must be four rows of four numbers, got {shown(value)}")
    rows = np.array([numbers(row, 4) for row in value])
    if rows[3].tolist() != [0, 0, 0, 1]:
        raise ValueError(f"the last row of T_head_camera must be 0 0 0 1, got {shown(value[3])}")
    return rigid(rows[:3, :3], rows[:3, 3])


def rigid(rotation: np.ndarray, translation: np.ndarray) -> Transform:
    """The transform of a rotation [3, 3] and a translation [3] in metres. Raises ValueError where they are none."""
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if error > ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise ValueError("the upper left 3x3 of T_head_camera is no rotation: its rows must be unit, at right angles")
    if (distance := float(np.linalg.norm(translation))) > FARTHEST_M:
        raise ValueError(f"T_head_camera puts the camera {distance:.3g} m from the head: give metres")
    if error > EXACT:  # one that is exact reads back as it was written
        left, _, right = np.linalg.svd(rotation)
        rotation = left @ right
    rows = np.column_stack([rotation, translation]).tolist()
    return cast(Transform, (*map(tuple, rows), (0.0, 0.0, 0.0, 1.0)))
