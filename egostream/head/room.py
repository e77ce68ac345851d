"""Poses in the room: where the head's pose at the moment of capture says that the camera was, or else a guess."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from msgspec import UNSET, UnsetType

from egostream.calibration.camera import Calibration
from egostream.config import RunConfig, stream_configs
from egostream.head.ground import Ground
from egostream.head.receiver import HeadReceiver, StreamHead
from egostream.head.rotations import matrix
from egostream.head.track import HeadSample
from egostream.publish.client import OPENXR
from egostream.publish.message import GUESS, HEADSET, IMU, HeadStatus, Placed, PlacedHead
from egostream.publish.publisher import Publisher
from egostream.run_setup import RunSetup
from egostream.told import NOTHING, Told, velocity_and_rate

#: Gravity turns in the head's axes as fast as the head does: an older one is not that of the frame.
GRAVITY_AGE_NS = 100_000_000
#: Rooms whose y counts from the floor, by the names that senders give them: OpenXR's two, and our adapter's for OpenVR.
FLOOR_SPACES = frozenset({"stage", "local_floor", "openvr standing"})
WORDS = {
    "late": "head poses come later than the poses of their frames; the room of those is a guess",
    "ended": "head poses ended; the room is a guess until they come again",
    "tracking": "head poses come",
}


class Guess:
    """A stream whose wearer's head nobody tells of: its room is a guess."""

    def __init__(self) -> None:
        self.ground = Ground()

    def tick(self) -> None:
        """Do nothing: nobody sends."""

    def place(self, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """A frame's joints in a room. joints [15, 3]: metres, camera axes."""
        return self.by_body(t_capture_ns, joints)

    def tells(self, t_capture_ns: int, step_ns: int) -> Told:
        """What is known of a frame's camera beside its picture: nothing."""
        return NOTHING

    def by_body(self, t_capture_ns: int, joints: np.ndarray, head: PlacedHead | UnsetType = UNSET) -> Placed:
        """By the body alone. head: what is known of it besides."""
        camera = self.ground.place(t_capture_ns, joints)
        return Placed(joints_world=on_wire(camera.points(joints)), head=head, world=GUESS)

    def status(self) -> HeadStatus | UnsetType:
        """Nothing: no head poses were asked for."""
        return UNSET


class Room(Guess):
    """Where the poses of one stream are in the room, by the head poses that a run receives."""

    def __init__(self, receiver: HeadReceiver, head: StreamHead, camera: Calibration, say: Callable[[str], None]):
        super().__init__()
        self.receiver, self.head, self.say = receiver, head, say
        self.T_head_camera = None if camera.T_head_camera is None else np.array(camera.T_head_camera)
        self.poses_without: dict[str, int] = {}
        self.state = "none"

    def tick(self) -> None:
        """Take what was sent, also while there are no frames."""
        self.receiver.poll()

    def place(self, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """A frame's joints in the room, by what is known of the head at its capture. joints [15, 3]: camera axes."""
        self.receiver.poll()
        sample, gravity = self.head.track.at(t_capture_ns), self.gravity_at(t_capture_ns)
        self.note_state(sample is not None or gravity is not None)
        if sample is not None:
            return self.by_headset(sample, t_capture_ns, joints)
        if gravity is not None:
            return self.by_gravity(gravity, t_capture_ns, joints)
        return self.by_body(t_capture_ns, joints)

    def gravity_at(self, t_capture_ns: int) -> np.ndarray | None:
        """Where down was in the head's axes [3], or None."""
        if self.head.gravity is None or abs(t_capture_ns - self.head.gravity[0]) > GRAVITY_AGE_NS:
            return None
        return self.head.gravity[1]

    def tells(self, t_capture_ns: int, step_ns: int) -> Told:
        """What the head says of a frame's camera: gravity, its motion since ``step_ns`` before, and its height.

        Without a mount, nothing: how the camera sits on the head is not known then.
        """
        self.receiver.poll()
        if self.T_head_camera is None:
            return NOTHING
        sample, before = (self.head.track.at(t_ns) for t_ns in (t_capture_ns, t_capture_ns - step_ns))
        if sample is not None:
            return told_by_headset(self.T_head_camera, sample, before)
        gravity = self.gravity_at(t_capture_ns)
        return NOTHING if gravity is None else Told(gravity=vector(gravity @ self.T_head_camera[:3, :3]))

    def by_headset(self, sample: HeadSample, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """By the headset's pose: T_world_camera = T_world_head T_head_camera. Without a mount the room is a guess."""
        head = PlacedHead(
            position=sample.position.tolist(), orientation=sample.orientation.tolist(), space=sample.space
        )
        if self.T_head_camera is None:
            return self.by_body(t_capture_ns, joints, head)
        joints_world = in_world(sample, in_head(self.T_head_camera, joints))
        self.ground.follow(t_capture_ns, joints_world * OPENXR)
        return Placed(joints_world=joints_world.tolist(), head=head, world=HEADSET)

    def by_gravity(self, gravity: np.ndarray, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """By gravity alone: level and on the floor, but neither the place nor where the wearer faces is known."""
        head = PlacedHead(gravity=gravity.tolist())
        if self.T_head_camera is None:
            return self.by_body(t_capture_ns, joints, head)
        camera = self.ground.place(t_capture_ns, joints, gravity @ self.T_head_camera[:3, :3])
        return Placed(joints_world=on_wire(camera.points(joints)), head=head, world=IMU)

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


def on_wire(joints_room: np.ndarray) -> list[list[float]]:
    """Joints [15, 3] in a room (x right, y down, z ahead) as messages have them: OpenXR's axes."""
    return (joints_room * OPENXR).tolist()


def in_head(T_head_camera: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Joints [15, 3] in camera axes -> in the head's (OpenXR: x right, y up, z backward)."""
    return joints @ T_head_camera[:3, :3].T + T_head_camera[:3, 3]


def in_world(head: HeadSample, joints_head: np.ndarray) -> np.ndarray:
    """Joints [15, 3] in the head's axes -> in the room's."""
    return joints_head @ matrix(head.orientation).T + head.position


def told_by_headset(T_head_camera: np.ndarray, sample: HeadSample, before: HeadSample | None) -> Told:
    """What a headset's pose, and the one a step before it, tell of its camera."""
    turn, at = camera_in_room(T_head_camera, sample)
    parts: dict = {"gravity": vector(-turn[:, 1])}
    if before is not None and before.space == sample.space:
        seconds = (sample.t_ns - before.t_ns) / 1e9
        velocity, rate = velocity_and_rate(*camera_in_room(T_head_camera, before), turn, at, seconds)
        parts |= {"velocity": vector(velocity), "rate": vector(rate)}
    if sample.space in FLOOR_SPACES:
        parts["height"] = float(at[1])
    return Told(**parts)


def camera_in_room(T_head_camera: np.ndarray, head: HeadSample) -> tuple[np.ndarray, np.ndarray]:
    """How the camera is turned (room -> camera [3, 3]) and where it is in the room [3], on a head that is there."""
    rotation = matrix(head.orientation)
    return (rotation @ T_head_camera[:3, :3]).T, rotation @ T_head_camera[:3, 3] + head.position


def vector(values: np.ndarray) -> tuple[float, float, float]:
    """Three numbers as messages have them."""
    x, y, z = values.tolist()
    return x, y, z


@contextmanager
def open_rooms(setup: RunSetup, publisher: Publisher, say: Callable[[str], None]) -> Iterator[Sequence[Guess]]:
    """Context that yields a room for each stream of a run: a guess, where head poses are not asked for.

    Raises EgostreamError where the endpoint cannot be bound.
    """
    if not setup.config.head:
        yield [Guess() for _ in setup.streams]
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
        f"WARNING: calibration {camera.name} has no T_head_camera, so that poses carry the head, but their room is a "
        "guess. Add it: egostream mount --help"
    )
