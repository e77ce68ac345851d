"""VMC: moves an avatar in a program that receives the Virtual Motion Capture protocol, as its performer.

protocol.vmc.info: OSC over UDP, port 39539, Unity's axes, local positions and rotations of the avatar's bones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.body.axes import UNITY
from egostream.body.measure import USUAL_BODY, Body
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.bridge.avatar import Avatar, avatar_of, load_avatar
from egostream.bridge.osc import Message, OscSender
from egostream.bridge.scene import Scene

PORT = 39539
#: So many bones in a bundle beside state, time and root: 972 of 1,472 bytes.
BONES_IN_BUNDLE = 11
#: Loaded, calibrated, normal mode, tracking. Receivers that hide an uncalibrated model want all four.
STATE = 1, 3, 0, 1
HALF_TURN = np.array([0.0, 1.0, 0.0, 0.0])  # about the vertical
ROOT = "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0


@dataclass(frozen=True)
class VmcOptions:
    """What receivers of VMC differ in."""

    to: str = f"127.0.0.1:{PORT}"
    avatar: str = ""  # .vrm file; "": the wearer's own bones
    is_bundled: bool = True  # off: each message in a datagram of its own
    yaw_180: bool = False  # turn the avatar round: Warudo, VNyan


class VmcReceiver:
    """Sends bones to a VMC receiver. Raises EgostreamError for a host without an address, and a file without bones."""

    wants_every = False

    def __init__(self, options: VmcOptions):
        self.options = options
        self.avatar = load_avatar(Path(options.avatar)) if options.avatar else avatar_of(USUAL_BODY)
        self.body = USUAL_BODY
        self.sender = OscSender(options.to, PORT)
        self.start_s = time.monotonic()

    @property
    def name(self) -> str:
        """The receiver's address, and whose bones it gets."""
        whose = f"bones of {self.options.avatar}" if self.options.avatar else "the wearer's own bones"
        return f"VMC at {self.sender.name}, {whose}"

    def room(self, scene: Scene) -> str:
        """The room that the message tells, or a guess."""
        return scene.room

    def send(self, scene: Scene) -> None:
        """One frame, in two bundles."""
        if not self.options.avatar and self.body is not scene.body:
            self.avatar, self.body = avatar_of(scene.body), scene.body
        pose = turned_round(scene.placed.pose) if self.options.yaw_180 else scene.placed.pose
        bones = bone_messages(self.avatar, pose, scene.body)
        state: list[Message] = [
            ("/VMC/Ext/OK", STATE),
            ("/VMC/Ext/T", (time.monotonic() - self.start_s,)),
            ("/VMC/Ext/Root/Pos", ROOT),
        ]
        self.sender.send([*state, *bones[:BONES_IN_BUNDLE]], self.options.is_bundled)
        self.sender.send(bones[BONES_IN_BUNDLE:], self.options.is_bundled)

    def close(self) -> None:
        """Let go of the socket."""
        self.sender.close()


def bone_messages(avatar: Avatar, pose: BodyPose, body: Body) -> list[Message]:
    """A message for each bone of the avatar: its node's own translation and rotation, in Unity's axes."""
    places = UNITY.points(avatar.places(pose.hips, body)).tolist()
    turns = UNITY.rotations(avatar.local(pose.rotations)).tolist()
    return [("/VMC/Ext/Bone/Pos", (bone, *place, *turn)) for bone, place, turn in zip(avatar.names, places, turns)]


def turned_round(pose: BodyPose) -> BodyPose:
    """A pose that looks the other way, about the room's origin."""
    return BodyPose(pose.t_ns, pose.hips * [-1, 1, -1], multiply(HALF_TURN, pose.rotations))
