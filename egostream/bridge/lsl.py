"""LSL: poses beside EEG, eye trackers and markers, in the Lab Streaming Layer's own time.

Every pose is a sample: x, y and z of each joint in metres, in the camera's axes, then each joint's confidence. Its
timestamp is when the frame was captured, by LSL's clock on this machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from egostream import __version__
from egostream.bridge.extras import needed
from egostream.bridge.scene import Scene
from egostream.errors import EgostreamError
from egostream.publish.client import TrackedPose
from egostream.skeleton import JOINTS, PARENTS

KIND = "MoCap"
#: Samples have no steady rate: a camera drops frames.
IRREGULAR = 0.0
COORDINATES = "XYZ"


@dataclass(frozen=True)
class LslOptions:
    """How the outlet is called."""

    outlet: str = "egostream"
    stream: str = "0"  # that it carries; a part of its source id


class LslReceiver:
    """An outlet that recorders and programs find in the local network. Raises EgostreamError without liblsl."""

    wants_every = True

    def __init__(self, options: LslOptions):
        if not options.outlet.strip():
            raise EgostreamError("--name is empty: recorders could not list the outlet. Give it a name")
        self.lsl = needed("pylsl", "pylsl")
        self.options = options
        self.outlet: Any = None

    @property
    def name(self) -> str:
        """How recorders find it."""
        return f"LSL outlet {self.options.outlet!r}, type {KIND}, source {self.source}"

    @property
    def source(self) -> str:
        """What tells it from others, also after a restart."""
        return f"egostream-{self.options.stream}"

    def room(self, scene: Scene) -> str:
        """None: joints are the camera's."""
        return ""

    def send(self, scene: Scene) -> None:
        """One sample. The outlet is made with the first: its description holds the publisher's clock."""
        if self.outlet is None:
            self.outlet = self.lsl.StreamOutlet(self.description(scene.tracked))
        values = [*scene.tracked.joints.ravel().tolist(), *scene.tracked.confidence.tolist()]
        self.outlet.push_sample(values, self.capture_time_s(scene.tracked))

    def capture_time_s(self, tracked: TrackedPose) -> float:
        """When a frame was captured, by LSL's clock on this machine. Across machines, by their wall clocks."""
        now_s = self.lsl.local_clock()
        if tracked.same_clock:
            return now_s - (time.monotonic_ns() - tracked.t_capture_ns) / 1e9
        return now_s - (time.time_ns() - tracked.t_capture_wall_ns) / 1e9

    def description(self, tracked: TrackedPose) -> Any:
        """The outlet's description: names and units of the channels, skeleton, clock."""
        names = [f"{joint}_{axis}" for joint in JOINTS for axis in COORDINATES]
        channels = [(name, "meters", f"Position{name[-1]}") for name in names]
        channels += [(f"{joint}_confidence", "normalized", "Confidence") for joint in JOINTS]
        info = self.lsl.StreamInfo(self.options.outlet, KIND, len(channels), IRREGULAR, "float32", self.source)
        listed = info.desc().append_child("channels")
        for label, unit, kind in channels:
            channel = listed.append_child("channel")
            for key, value in (("label", label), ("unit", unit), ("type", kind)):
                channel.append_child_value(key, value)
        bones = info.desc().append_child("skeleton")
        for joint, parent in zip(JOINTS, PARENTS):
            bone = bones.append_child("joint")
            bone.append_child_value("name", joint)
            bone.append_child_value("parent", JOINTS[parent])
        about = info.desc().append_child("acquisition")
        for key, value in (
            ("manufacturer", "egostream"),
            ("version", __version__),
            ("axes", "camera: x right, y down, z forward"),
            ("publisher_clock_offset_ns", str(tracked.clock_offset_ns)),
            ("unix_minus_lsl_s", f"{time.time() - self.lsl.local_clock():.6f}"),
        ):
            about.append_child_value(key, value)
        return info

    def close(self) -> None:
        """End the outlet: recorders see that it is gone."""
        self.outlet = None
