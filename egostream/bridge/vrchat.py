"""VRChat: trackers by OSC, on every headset that runs VRChat, without SteamVR.

docs.vrchat.com/docs/osc-trackers: UDP port 9000, Unity's axes, metres, angles in degrees about z, then x, then y. The
head's position is laid upon the avatar's head; of its rotation, the yaw turns the room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.body.axes import UNITY
from egostream.body.bones import INDEX
from egostream.body.quaternions import matrices
from egostream.bridge.osc import Message, OscSender
from egostream.bridge.scene import WORDS, Scene
from egostream.bridge.trackers import USUAL_PARTS, parse_trackers, placed_trackers
from egostream.errors import EgostreamError

PORT = 9000
HEADS = ("both", "position", "none")


@dataclass(frozen=True)
class VrchatOptions:
    """Which trackers, and how the room finds the headset's."""

    to: str = f"127.0.0.1:{PORT}"
    trackers: str = USUAL_PARTS
    head: str = "both"  # what of the head is sent: both, position, none


class VrchatReceiver:
    """Sends trackers to VRChat. Raises EgostreamError for settings that cannot be used."""

    wants_every = False

    def __init__(self, options: VrchatOptions):
        if options.head not in HEADS:
            raise EgostreamError(f"--head {options.head}: choose one of {', '.join(HEADS)}")
        self.trackers = parse_trackers(options.trackers)
        self.head = options.head
        self.parts = options.trackers
        self.sender = OscSender(options.to, PORT)

    @property
    def name(self) -> str:
        """The receiver's address, and which trackers it gets."""
        return f"VRChat at {self.sender.name}, trackers {self.parts}"

    def room(self, scene: Scene) -> str:
        """The room that the message tells, or a guess."""
        return WORDS.get(scene.world, scene.world)

    def send(self, scene: Scene) -> None:
        """One frame, in one bundle."""
        pose, body = scene.placed.pose, scene.body
        messages = self.head_messages(body.origins(pose)[INDEX["Head"]], pose.rotation("Head"))
        for number, place, turn in placed_trackers(self.trackers, pose, body):
            messages += tracker_messages(str(number), place, turn)
        self.sender.send(messages)

    def head_messages(self, place: np.ndarray, turn: np.ndarray) -> list[Message]:
        """What of the head is to be sent."""
        return tracker_messages("head", place, turn)[: {"both": 2, "position": 1, "none": 0}[self.head]]

    def close(self) -> None:
        """Let go of the socket."""
        self.sender.close()


def tracker_messages(name: str, place: np.ndarray, turn: np.ndarray) -> list[Message]:
    """Position and rotation of a tracker, from the room's axes into VRChat's."""
    return [
        (f"/tracking/trackers/{name}/position", UNITY.points(place).tolist()),
        (f"/tracking/trackers/{name}/rotation", unity_angles(UNITY.rotations(turn)).tolist()),
    ]


def unity_angles(turn: np.ndarray) -> np.ndarray:
    """Angles [3] about x, y and z in degrees of a rotation [4] in Unity's axes: R = Ry Rx Rz."""
    r = matrices(turn)
    x = np.arcsin(np.clip(-r[1, 2], -1, 1))
    return np.degrees([x, np.arctan2(r[0, 2], r[2, 2]), np.arctan2(r[1, 0], r[1, 1])])
