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
from egostream.bridge.scene import Scene
from egostream.bridge.trackers import USUAL_PARTS, PlacedTracker, parse_trackers, placed_trackers
from egostream.errors import EgostreamError

PORT = 9000
HEADS = ("both", "position", "none")
HEAD = 0  # stands for the head among the trackers' numbers


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
        return scene.room

    def send(self, scene: Scene) -> None:
        """One frame, in one bundle."""
        pose, body = scene.placed.pose, scene.body
        trackers = placed_trackers(self.trackers, pose, body)
        if self.head != "none":
            trackers.append((HEAD, body.origins(pose)[INDEX["Head"]], pose.rotation("Head")))
        messages = tracker_messages(trackers)
        self.sender.send(messages[:-1] if self.head == "position" else messages)

    def close(self) -> None:
        """Let go of the socket."""
        self.sender.close()


def tracker_messages(trackers: list[PlacedTracker]) -> list[Message]:
    """Position and rotation of each tracker, from the room's axes into VRChat's."""
    numbers, places, turns = zip(*trackers)
    angles = unity_angles(UNITY.rotations(np.array(turns))).tolist()
    messages: list[Message] = []
    for number, place, degrees in zip(numbers, UNITY.points(np.array(places)).tolist(), angles):
        name = f"/tracking/trackers/{number or 'head'}/"
        messages += [(name + "position", place), (name + "rotation", degrees)]
    return messages


def unity_angles(turns: np.ndarray) -> np.ndarray:
    """Angles [n, 3] about x, y and z in degrees of rotations [n, 4] in Unity's axes: R = Ry Rx Rz."""
    r = matrices(turns)
    x = np.arcsin(np.clip(-r[:, 1, 2], -1, 1))
    return np.degrees(np.stack([x, np.arctan2(r[:, 0, 2], r[:, 2, 2]), np.arctan2(r[:, 1, 0], r[:, 1, 1])], axis=-1))
