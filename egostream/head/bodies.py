"""A solved body in the room: where the camera is, and how it is turned, moves its bones there."""

from __future__ import annotations

import numpy as np

from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.head.ground import NECK, CameraPlace, axes_of_hips


class BodiesInRoom:
    """Places one stream's solved poses, in their order, so that quaternions keep their signs."""

    def __init__(self) -> None:
        self.before: np.ndarray | None = None  # rotations [19, 4] of the pose before

    def __call__(self, pose: BodyPose, camera: CameraPlace) -> BodyPose:
        """A pose in the camera's axes -> in the room's (x right, y down, z ahead)."""
        rotations = multiply(camera.turn, pose.rotations)
        if self.before is not None:
            rotations[(rotations * self.before).sum(-1) < 0] *= -1
        self.before = rotations
        return BodyPose(pose.t_ns, camera.points(pose.hips), rotations)


def camera_between(joints: list[list[float]], joints_room: list[list[float]]) -> CameraPlace:
    """Where the camera is that sees ``joints`` [15][3] where ``joints_room`` [15][3] are; axes as of ``Ground``.

    Both are the same joints to the last digit, so that the axes of their hips tell it, at a tenth of a fit's cost.
    """
    seen, there = np.array(axes_of_hips(joints)), np.array(axes_of_hips(joints_room))
    rotation = there.T @ seen
    return CameraPlace(rotation, np.array(joints_room[NECK]) - rotation @ joints[NECK])
