"""Virtual Motion Tracker: trackers in SteamVR, relative to its headset.

github.com/gpsnmeajp/VirtualMotionTracker: OSC over UDP, port 39570, Unity's axes. ``/VMT/Joint/Unity`` takes a pose in
the headset's own axes, which is what a camera on the headset sees: no room is needed, and none is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.body.axes import UNITY
from egostream.body.quaternions import conjugate, multiply, rotate
from egostream.bridge.loop import Scene
from egostream.bridge.osc import Message, OscSender
from egostream.bridge.trackers import USUAL_PARTS, parse_trackers, placed_trackers
from egostream.errors import EgostreamError

PORT = 39570
ADDRESS, HEADSET = "/VMT/Joint/Unity", "HMD"
LAST_INDEX = 57
#: What SteamVR takes it for. Fixed at a tracker's first message, until SteamVR starts again.
VIVE_TRACKER = 7
NOW = 0.0


@dataclass(frozen=True)
class VmtOptions:
    """Which trackers, under which numbers, and where the camera sits on the headset."""

    to: str = f"127.0.0.1:{PORT}"
    trackers: str = USUAL_PARTS
    first_index: int = 0  # of VMT's 58
    enable: int = VIVE_TRACKER
    camera_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres right, up and ahead of the headset's origin


class VmtReceiver:
    """Sends trackers to VMT. Raises EgostreamError for settings that cannot be used."""

    wants_every = False
    needs_room = False

    def __init__(self, options: VmtOptions):
        self.trackers = parse_trackers(options.trackers)
        last = options.first_index + max(tracker.number for tracker in self.trackers) - 1
        if not 0 <= options.first_index <= last <= LAST_INDEX:
            raise EgostreamError(
                f"--first-index {options.first_index}: numbers would go up to {last}; VMT has 0 to {LAST_INDEX}"
            )
        self.options = options
        self.offset = UNITY.back(np.array(options.camera_offset))
        self.sender = OscSender(options.to, PORT)

    @property
    def name(self) -> str:
        """The receiver's address, and which trackers it gets."""
        return f"VMT at {self.sender.name}, trackers {self.options.trackers}, relative to the headset"

    def send(self, scene: Scene) -> None:
        """One frame, in one bundle."""
        head = conjugate(scene.pose.rotation("Head"))
        messages: list[Message] = []
        for number, place, turn in placed_trackers(self.trackers, scene.pose, scene.body):
            position = UNITY.points(rotate(head, place) + self.offset).tolist()
            rotation = UNITY.rotations(multiply(head, turn)).tolist()
            index = self.options.first_index + number - 1
            messages.append((ADDRESS, (index, self.options.enable, NOW, *position, *rotation, HEADSET)))
        self.sender.send(messages)

    def close(self) -> None:
        """Let go of the socket. SteamVR shows trackers without new messages as lost."""
        self.sender.close()
