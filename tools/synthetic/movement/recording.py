"""What every recorded clip becomes, whatever its format: a Movement, or a reason why not."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from tools.synthetic.movement.movement import Movement
from tools.synthetic.movement.segments import INDEX, OFFSETS

MIN_FRAMES = 10


RELAXED_GRIP = 0.3  # no clip here has recorded fingers


class Unusable(Exception):
    """One file that is no clip, with the reason."""


def recorded_movement(name: str, fps: float, root: np.ndarray, leg: float, rotations: np.ndarray) -> Movement:
    """A Movement of a body whose hip joints lie ``leg`` metres over its ankles."""
    if len(root) < MIN_FRAMES:
        raise Unusable(f"{len(root)} frames are too few")
    ankle = OFFSETS[0, 1] + OFFSETS[INDEX["calf_r"], 1] + OFFSETS[INDEX["foot_r"], 1]
    hip_height = leg * OFFSETS[0, 1] / (OFFSETS[0, 1] - ankle)
    return Movement(
        PurePosixPath(name).stem,
        float(fps),
        root,
        hip_height,
        rotations,
        np.full((len(root), 2), RELAXED_GRIP),
        source=name,
    )
