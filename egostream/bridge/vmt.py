"""Virtual Motion Tracker: trackers in SteamVR.

github.com/gpsnmeajp/VirtualMotionTracker: OSC over UDP, port 39570, Unity's axes.

``/VMT/Room/Unity`` takes a pose in SteamVR's room. It is right at any turn of the head, where the headset's own pose at
the time of the picture is known. ``/VMT/Joint/Unity`` takes a pose in the axes of the headset as it is when the message
comes: it needs no room, and swings with fast turns of the head by the latency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.body.axes import UNITY
from egostream.body.quaternions import conjugate, multiply, rotate
from egostream.bridge.osc import Message, OscSender
from egostream.bridge.scene import NO_MOUNT, Scene
from egostream.bridge.trackers import USUAL_PARTS, PlacedTracker, parse_trackers, placed_trackers
from egostream.errors import EgostreamError
from egostream.head.openvr_headset import SPACE

PORT = 39570
IN_ROOM, IN_HEADSET, HEADSET = "/VMT/Room/Unity", "/VMT/Joint/Unity", "HMD"
LAST_INDEX = 57
#: What SteamVR takes it for. Fixed at a tracker's first message, until SteamVR starts again.
VIVE_TRACKER = 7
NOW, NOWHERE = 0.0, np.zeros(3)
RELATIONS = ("auto", "headset", "room")
WORDS = {
    True: "trackers are in SteamVR's room, by the headset's pose at the time of the picture "
    "(they do not appear? VMT Manager: Set Room Matrix)",
    False: "trackers are relative to the headset as SteamVR has it now",
}


@dataclass(frozen=True)
class VmtOptions:
    """Which trackers, under which numbers, and where the camera sits on the headset."""

    to: str = f"127.0.0.1:{PORT}"
    trackers: str = USUAL_PARTS
    first_index: int = 0  # of VMT's 58
    enable: int = VIVE_TRACKER
    camera_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres right, up and ahead of the headset's origin
    relative_to: str = "auto"  # headset; room: wherever a headset tells it; auto: where that is SteamVR's


class VmtReceiver:
    """Sends trackers to VMT. Raises EgostreamError for settings that cannot be used."""

    wants_every = False

    def __init__(self, options: VmtOptions):
        self.trackers = parse_trackers(options.trackers)
        last = options.first_index + max(tracker.number for tracker in self.trackers) - 1
        if not 0 <= options.first_index <= last <= LAST_INDEX:
            raise EgostreamError(
                f"--first-index {options.first_index}: numbers would go up to {last}; VMT has 0 to {LAST_INDEX}"
            )
        if options.relative_to not in RELATIONS:
            raise EgostreamError(f"--relative-to {options.relative_to}: choose one of {', '.join(RELATIONS)}")
        self.options = options
        self.offset = UNITY.back(np.array(options.camera_offset))
        self.sender = OscSender(options.to, PORT)

    @property
    def name(self) -> str:
        """The receiver's address, and which trackers it gets."""
        return f"VMT at {self.sender.name}, trackers {self.options.trackers}"

    def room(self, scene: Scene) -> str:
        """What the trackers are relative to."""
        words = WORDS[self.is_in_room(scene)]
        return f"{words} ({NO_MOUNT})" if self.options.relative_to == "room" and scene.room == NO_MOUNT else words

    def is_in_room(self, scene: Scene) -> bool:
        """Whether a frame's trackers go out in SteamVR's room."""
        wanted = self.options.relative_to
        return scene.head is not None and (wanted == "room" or (wanted == "auto" and scene.head.space == SPACE))

    def send(self, scene: Scene) -> None:
        """One frame, in one bundle."""
        address, last = (IN_ROOM, ()) if self.is_in_room(scene) else (IN_HEADSET, (HEADSET,))
        messages: list[Message] = []
        for number, place, turn in self.placed(scene):
            index = self.options.first_index + number - 1
            position, rotation = UNITY.points(place).tolist(), UNITY.rotations(turn).tolist()
            messages.append((address, (index, self.options.enable, NOW, *position, *rotation, *last)))
        self.sender.send(messages)

    def placed(self, scene: Scene) -> list[PlacedTracker]:
        """Number, position [3] and rotation [4] of each tracker, in the room or in the headset's axes."""
        if scene.head is None:
            head, origin, offset, pose = scene.pose.rotation("Head"), NOWHERE, self.offset, scene.pose
        else:
            head, origin, offset, pose = scene.head.turn, scene.head.position, NOWHERE, scene.placed.pose
        trackers = placed_trackers(self.trackers, pose, scene.body)
        if self.is_in_room(scene):
            return trackers
        back = conjugate(head)
        return [
            (number, rotate(back, place - origin) + offset, multiply(back, turn)) for number, place, turn in trackers
        ]

    def close(self) -> None:
        """Let go of the socket. SteamVR shows trackers without new messages as lost."""
        self.sender.close()
