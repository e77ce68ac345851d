"""One frame as a bridge sees it: the bones solved, and where they are in the room that the message tells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from msgspec import UNSET

from egostream.body.axes import OPENXR
from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.body.quaternions import conjugate, multiply, unit
from egostream.body.solve import BodySolver
from egostream.head.bodies import BodiesInRoom, Placed, camera_between, in_place
from egostream.head.ground import CameraPlace, Ground
from egostream.publish.client import TrackedPose
from egostream.publish.message import GUESS, HEADSET, IMU

#: What is said of a room, by who tells it.
WORDS = {
    HEADSET: "the room is the headset's",
    IMU: "the room is level by the headset's gravity; place and heading are a guess",
    GUESS: "the room is a guess, from the body alone (docs/head.md)",
}
NO_MOUNT = (
    "the room is a guess: the headset's pose is known, but not where the camera sits on it. Measure it: "
    "egostream mount --help"
)


@dataclass(frozen=True)
class HeadInRoom:
    """A headset in its room: x right, y down, z ahead, metres."""

    position: np.ndarray  # [3]
    turn: np.ndarray  # [4] unit quaternion x, y, z, w
    space: str  # the sender's name of the room


class Follower:
    """What a bridge keeps from frame to frame."""

    def __init__(self, stature: float = 0.0, walks: bool = True):
        """stature: the wearer's, metres; 0: as the stream has it. walks: off, the hips stay above the origin."""
        self.solve, self.walks = BodySolver(stature), walks
        self.bodies = BodiesInRoom()
        self.ground = Ground()  # that the body stands on which is shown: its bones keep their lengths, joints do not
        self.guess = Ground()  # for publishers of release 0.1.0, which tell no room


class Scene:
    """All that is known of one frame. What a receiver does not ask for is not computed."""

    def __init__(self, tracked: TrackedPose, follower: Follower):
        self.tracked, self.follower = tracked, follower

    @property
    def world(self) -> str:
        """Who tells where the room is: a headset, an IMU, or nobody: ``guess``."""
        return self.tracked.world or GUESS

    @property
    def room(self) -> str:
        """In which room it is, in words."""
        head = self.tracked.message.head
        if self.world == GUESS and head is not UNSET and head.orientation is not UNSET:
            return NO_MOUNT
        return WORDS.get(self.world, self.world)

    @cached_property
    def head(self) -> HeadInRoom | None:
        """The headset in the room, where it tells the room."""
        head = self.tracked.message.head
        if self.world != HEADSET or head is UNSET or head.orientation is UNSET or head.position is UNSET:
            return None
        turn = unit(OPENXR.rotations(np.array(head.orientation)))
        return HeadInRoom(OPENXR.back(np.array(head.position)), turn, head.space) if turn.any() else None

    @cached_property
    def camera(self) -> CameraPlace:
        """Where the camera is, as the message tells, or else a guess."""
        message = self.tracked.message
        if message.joints_world is UNSET:
            return self.follower.guess.place(message.t_capture_ns, self.tracked.joints)
        return camera_between(message.joints, [[x, -y, -z] for x, y, z in message.joints_world])  # from OpenXR's axes

    @cached_property
    def pose(self) -> BodyPose:
        """The bones' rotations, in the camera's axes. The headset, where it is known, tells those of the head."""
        solve = self.follower.solve
        if self.head is not None:
            solve.mount = multiply(conjugate(self.camera.turn), self.head.turn)
        return solve(self.tracked.t_capture_ns, self.tracked.joints, self.tracked.confidence)

    @cached_property
    def placed(self) -> Placed:
        """The pose in the room. A larger wearer has the same head where a headset tells it, and else the same floor."""
        pose, ground = self.pose, self.follower.ground  # the pose first: it may measure the scale
        scale, position = self.follower.solve.measure.scale, self.camera.position
        if self.head is None:
            position = ground.stand(self.camera.rotation, self.body.joints(pose))
        else:
            ground.follow(pose.t_ns, self.camera.points(self.body.joints(pose)))
        camera = CameraPlace(self.camera.rotation, position)
        camera = camera if self.follower.walks else in_place(camera, pose)
        return self.follower.bodies.placed(pose, self.tracked.joints * scale, camera)

    @property
    def body(self) -> Body:
        """The wearer's bones, as far as they are known."""
        return self.follower.solve.body
