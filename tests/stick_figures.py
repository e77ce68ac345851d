"""Movements of the generator's stick body, and where its limbs point."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from tools.synthetic.movement.movement import Movement, joint_positions
from tools.synthetic.movement.segments import HIP_HEIGHT, INDEX, SEGMENTS

LIMBS = ("upperarm", "forearm"), ("forearm", "hand"), ("thigh", "calf"), ("calf", "foot")


def random_movement(rng, frames=40, fps=50.0, props=()) -> Movement:
    """Smooth and meaningless: every segment turns at its own constant speed about its own axis."""
    spin = rng.normal(0, 0.8, (21, 3))
    start = Rotation.random(21, random_state=1).as_matrix()
    t = np.arange(frames) / fps
    rotations = np.stack([Rotation.from_rotvec(spin * x).as_matrix() @ start for x in t])
    root = np.stack([t, 0.9 + 0 * t, t**2], -1)
    return Movement("random", fps, root, HIP_HEIGHT, rotations, np.tile([[0.2, 0.7]], (frames, 1)), tuple(props))


def t_pose(frames: int = 1, hip_height: float = 1.0) -> Movement:
    """The T-pose."""
    still = np.tile(np.eye(3), (frames, len(SEGMENTS), 1, 1))
    return Movement("t", 30.0, np.tile([0, hip_height, 0], (frames, 1)), hip_height, still, np.zeros((frames, 2)))


def direction(movement: Movement, segment: str, child: str) -> np.ndarray:
    joints = joint_positions(movement)
    way = joints[:, INDEX[child]] - joints[:, INDEX[segment]]
    return way / np.linalg.norm(way, axis=1, keepdims=True)


def degrees_apart(a, b) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))
