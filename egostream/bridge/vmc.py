"""VMC: moves an avatar in a program that receives the Virtual Motion Capture protocol, as its performer.

protocol.vmc.info: OSC over UDP, port 39539, Unity's axes, local positions and rotations of the avatar's bones.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.body.axes import UNITY
from egostream.body.measure import USUAL_BODY, Body
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.bridge.avatar import Avatar, avatar_of, load_avatar
from egostream.bridge.osc import Bundle, Message, OscSender
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
        first, second = self.avatar.names[:BONES_IN_BUNDLE], self.avatar.names[BONES_IN_BUNDLE:]
        self.bundles = (
            Bundle([*state_messages(0.0), *bone_messages(first, np.zeros((len(first), 7)))]),
            Bundle(bone_messages(second, np.zeros((len(second), 7)))),
        )

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
        rows, seconds = bones_in_unity(self.avatar, pose, scene.body), time.monotonic() - self.start_s
        if self.options.is_bundled:
            first, second = rows[:BONES_IN_BUNDLE].ravel(), rows[BONES_IN_BUNDLE:].ravel()
            self.sender.send_datagram(self.bundles[0].filled(np.concatenate([[seconds, *ROOT[1:]], first])))
            self.sender.send_datagram(self.bundles[1].filled(second))
        else:
            self.sender.send([*state_messages(seconds), *bone_messages(self.avatar.names, rows)], is_bundled=False)

    def close(self) -> None:
        """Let go of the socket."""
        self.sender.close()


def state_messages(seconds: float) -> list[Message]:
    """What a frame tells beside its bones. seconds: since the start."""
    return [("/VMC/Ext/OK", STATE), ("/VMC/Ext/T", (seconds,)), ("/VMC/Ext/Root/Pos", ROOT)]


def bones_in_unity(avatar: Avatar, pose: BodyPose, body: Body) -> np.ndarray:
    """Each bone's node's own translation and rotation [n, 7], in Unity's axes."""
    places, turns = avatar.places(pose.hips, body), avatar.local(pose.rotations)
    return np.concatenate([UNITY.points(places), UNITY.rotations(turns)], axis=1)


def bone_messages(names: Sequence[str], rows: np.ndarray) -> list[Message]:
    """A message for each bone of the avatar. rows [n, 7]: translations and rotations."""
    return [("/VMC/Ext/Bone/Pos", (name, *row)) for name, row in zip(names, rows.tolist())]


def turned_round(pose: BodyPose) -> BodyPose:
    """A pose that looks the other way, about the room's origin."""
    return BodyPose(pose.t_ns, pose.hips * [-1, 1, -1], multiply(HALF_TURN, pose.rotations))
