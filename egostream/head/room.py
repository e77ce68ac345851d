"""Poses in the room: the head's pose at the moment of capture, and the joints where it says the camera was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from egostream.calibration.camera import Calibration
from egostream.config import RunConfig, stream_configs
from egostream.head.level import placed_on_the_floor
from egostream.head.receiver import HeadReceiver, StreamHead
from egostream.head.rotations import matrix
from egostream.head.track import HeadSample
from egostream.publish.message import HeadStatus, Placed, PlacedHead
from egostream.publish.publisher import Publisher
from egostream.run_setup import RunSetup

#: Gravity turns in the head's axes as fast as the head does: an older one is not that of the frame.
GRAVITY_AGE_NS = 100_000_000
WORDS = {
    "late": "head poses come later than the poses of their frames; those go out without the room",
    "ended": "head poses ended; poses go out without the room until they come again",
    "tracking": "head poses come; poses are in the room",
}


class Room:
    """Where the poses of one stream are in the room."""

    def __init__(self, receiver: HeadReceiver, head: StreamHead, camera: Calibration, say: Callable[[str], None]):
        self.receiver, self.head, self.say = receiver, head, say
        self.T_head_camera = None if camera.T_head_camera is None else np.array(camera.T_head_camera)
        self.poses_without: dict[str, int] = {}
        self.state = "none"

    def tick(self) -> None:
        """Take what was sent, also while there are no frames."""
        self.receiver.poll()

    def place(self, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """What the head pose at a frame's capture adds to its pose. joints [15, 3]: metres, camera axes.

        Nothing where the head was not known then.
        """
        self.receiver.poll()
        placed = self.by_headset(t_capture_ns, joints) or self.by_gravity(t_capture_ns, joints)
        self.note_state(placed is not None)
        return placed or Placed()

    def by_headset(self, t_capture_ns: int, joints: np.ndarray) -> Placed | None:
        """By the headset's pose: T_world_camera = T_world_head T_head_camera."""
        sample = self.head.track.at(t_capture_ns)
        if sample is None:
            return None
        head = PlacedHead(
            position=sample.position.tolist(), orientation=sample.orientation.tolist(), space=sample.space
        )
        if self.T_head_camera is None:
            return Placed(head=head)
        return Placed(
            joints_world=in_world(sample, in_head(self.T_head_camera, joints)).tolist(), head=head, world="headset"
        )

    def by_gravity(self, t_capture_ns: int, joints: np.ndarray) -> Placed | None:
        """By gravity alone: upright and on the floor, but neither the place nor where the wearer faces."""
        if self.head.gravity is None or abs(t_capture_ns - self.head.gravity[0]) > GRAVITY_AGE_NS:
            return None
        gravity = self.head.gravity[1]
        head = PlacedHead(gravity=gravity.tolist())
        if self.T_head_camera is None:
            return Placed(head=head)
        joints_world = placed_on_the_floor(in_head(self.T_head_camera, joints), -gravity)
        return Placed(joints_world=joints_world.tolist(), head=head, world="imu")

    def note_state(self, is_known: bool) -> None:
        """Count poses that the head was not known for, and say when that begins and ends."""
        state = self.head.state(time.monotonic_ns(), is_known)
        if state != "tracking":
            self.poses_without[state] = self.poses_without.get(state, 0) + 1
        if state != self.state and state in WORDS:
            self.say(f"stream {self.head.name}: {WORDS[state]}")
        self.state = state

    def status(self) -> HeadStatus:
        """What the stream's status tells of the head."""
        return HeadStatus(
            state=self.state,
            received=self.head.received,
            refused=dict(self.head.refused),
            poses_without=dict(self.poses_without),
            has_mount=self.T_head_camera is not None,
        )


def in_head(T_head_camera: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Joints [15, 3] in camera axes -> in the head's (OpenXR: x right, y up, z backward)."""
    return joints @ T_head_camera[:3, :3].T + T_head_camera[:3, 3]


def in_world(head: HeadSample, joints_head: np.ndarray) -> np.ndarray:
    """Joints [15, 3] in the head's axes -> in the room's."""
    return joints_head @ matrix(head.orientation).T + head.position


@contextmanager
def open_rooms(setup: RunSetup, publisher: Publisher, say: Callable[[str], None]) -> Iterator[list[Room | None]]:
    """Context that yields a room for each stream of a run; None for each where head poses are not asked for.

    Raises EgostreamError where the endpoint cannot be bound.
    """
    if not setup.config.head:
        yield [None] * len(setup.streams)
        return
    names = [one.stream for one in stream_configs(setup.config)]
    receiver = HeadReceiver(setup.config, publisher.context, names, say)
    try:
        yield [Room(receiver, receiver.heads[name], stream.camera, say) for name, stream in zip(names, setup.streams)]
    finally:
        receiver.close()


def missing_mount(config: RunConfig, camera: Calibration) -> str:
    """What to say before a run with head poses whose camera's place on the head is unknown; empty when it is known."""
    if not config.head or camera.T_head_camera is not None:
        return ""
    return (
        f"WARNING: calibration {camera.name} has no T_head_camera, so that poses carry the head, but no joints in the "
        "room. Add it: egostream mount --help"
    )
