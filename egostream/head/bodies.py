"""A solved body in the room: where the camera is, and how it is turned, moves its bones there."""

from __future__ import annotations

import numpy as np

from egostream.body.plain import of_axes
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.head.ground import CameraPlace


class BodiesInRoom:
    """Places one stream's solved poses, in their order, so that quaternions keep their signs."""

    def __init__(self) -> None:
        self.before: np.ndarray | None = None  # rotations [19, 4] of the pose before

    def __call__(self, pose: BodyPose, camera: CameraPlace) -> BodyPose:
        """A pose in the camera's axes -> in the room's (x right, y down, z ahead)."""
        turn = np.array(of_axes(*camera.rotation.T.tolist()))
        rotations = multiply(turn, pose.rotations)
        if self.before is not None:
            rotations[(rotations * self.before).sum(-1) < 0] *= -1
        self.before = rotations
        return BodyPose(pose.t_ns, camera.points(pose.hips), rotations)


def camera_between(joints: np.ndarray, joints_room: np.ndarray) -> CameraPlace:
    """Where the camera is that sees ``joints`` [15, 3] where ``joints_room`` [15, 3] are, by least squares.

    Both are the same joints, so that it is exact (Kabsch 1976, without mirroring).
    """
    seen, there = joints.mean(0), joints_room.mean(0)
    u, _, vt = np.linalg.svd((joints_room - there).T @ (joints - seen))
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        u[:, 2] *= -1
    rotation = u @ vt
    return CameraPlace(rotation, there - rotation @ seen)
