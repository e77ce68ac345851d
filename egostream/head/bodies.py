"""A solved body in the room: where the camera is, and how it is turned, moves its bones there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.head.ground import NECK, CameraPlace, Ground, axes_of_hips


@dataclass(frozen=True)
class Placed:
    """A pose in a room: x right, y down, z ahead, metres."""

    pose: BodyPose
    joints: np.ndarray  # [15, 3]


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

    def placed(self, pose: BodyPose, joints: np.ndarray, camera: CameraPlace) -> Placed:
        """The pose, and joints [15, 3] in the camera's axes, in the room."""
        return Placed(self(pose, camera), camera.points(joints))


class GuessedRoom:
    """Places one stream's solved poses in a room that is a guess, in their order.

    What is shown stands on the floor: bones that keep their lengths, which joints do not.
    """

    def __init__(self, walks: bool = True):
        """walks: off, the hips stay above the origin, and feet slide instead."""
        self.walks, self.ground, self.bodies = walks, Ground(), BodiesInRoom()

    def __call__(self, pose: BodyPose, joints: np.ndarray, body: Body) -> Placed:
        """A pose in the camera's axes, and the joints [15, 3] that it was made of, in the room."""
        rotation = self.ground.level(pose.t_ns, joints)
        camera = CameraPlace(rotation, self.ground.stand(rotation, body.joints(pose)))
        return self.bodies.placed(pose, joints, camera if self.walks else in_place(camera, pose))


def in_place(camera: CameraPlace, pose: BodyPose) -> CameraPlace:
    """The camera's place, moved so that the hips are above the origin."""
    return CameraPlace(camera.rotation, camera.position - camera.points(pose.hips) * [1.0, 0.0, 1.0])


def camera_between(joints: list[list[float]], joints_room: list[list[float]]) -> CameraPlace:
    """Where the camera is that sees ``joints`` [15][3] where ``joints_room`` [15][3] are; axes as of ``Ground``.

    Both are the same joints to the last digit, so that the axes of their hips tell it, at a tenth of a fit's cost.
    """
    seen, there = np.array(axes_of_hips(joints)), np.array(axes_of_hips(joints_room))
    rotation = there.T @ seen
    return CameraPlace(rotation, np.array(joints_room[NECK]) - rotation @ joints[NECK])
