"""A wearer who stands straight and looks ahead, as a camera on the head sees them."""

from __future__ import annotations

import numpy as np
from made_messages import pose_message

from egostream.publish.client import TrackedPose

#: Joints in the head's axes (OpenXR: x right, y up, z backward), metres from the eyes.
STANDING = np.array(
    [
        [0.0, -0.2, 0.08],
        [0.18, -0.25, 0.08], [0.2, -0.52, 0.1], [0.21, -0.77, 0.06],
        [-0.18, -0.25, 0.08], [-0.2, -0.52, 0.1], [-0.21, -0.77, 0.06],
        [0.09, -0.75, 0.08], [0.09, -1.17, 0.07], [0.09, -1.58, 0.08], [0.11, -1.63, -0.1],
        [-0.09, -0.75, 0.08], [-0.09, -1.17, 0.07], [-0.09, -1.58, 0.08], [-0.11, -1.63, -0.1],
    ]
)  # fmt: skip


def seen_from(T_head_camera: np.ndarray, joints_head: np.ndarray = STANDING) -> np.ndarray:
    """The joints [15, 3] in the axes of a camera that sits so on the head [4, 4]."""
    inverse = np.linalg.inv(T_head_camera)
    return joints_head @ inverse[:3, :3].T + inverse[:3, 3]


def tracked(joints: np.ndarray, confidence: float = 0.8, **changes) -> TrackedPose:
    """A received pose."""
    message = pose_message(joints=joints.tolist(), **changes)
    return TrackedPose(message, joints, np.full(15, confidence), np.zeros((15, 2)), 0, True)
