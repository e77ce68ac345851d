"""The client: newest pose or timeout, typed, with its age and in the axes of the client's engine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import zmq
from msgspec import UNSET

from egostream.errors import EgostreamError
from egostream.publish import curve
from egostream.publish.endpoints import is_loopback, use_ipv6
from egostream.publish.message import (
    POSE_TOPIC,
    STATUS_TOPIC,
    PoseMessage,
    StatusMessage,
    clock_offset_ns,
    topic,
    unpack_as,
)
from egostream.publish.prediction import ahead
from egostream.skeleton import JOINTS

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5570"
#: Bytes that a message may have: a pose has two thousand, a status three.
MAX_MESSAGE = 1 << 20
#: Longest timeout, seconds: three weeks, since ZeroMQ counts milliseconds in 32 bits.
LONGEST_S = 2_000_000
SAME_CLOCK_NS = 1_000_000_000  # offsets from wall clocks that differ by less belong to one monotonic clock
#: Streams of which the newest pose is kept: more than a run has.
MOST_STREAMS = 100
#: Points in camera axes (x right, y down, z forward) times this, per axis.
UNITY = np.array([1.0, -1.0, 1.0])  # left-handed: x right, y up, z forward
OPENXR = np.array([1.0, -1.0, -1.0])  # right-handed: x right, y up, z backward


@dataclass(frozen=True)
class TrackedPose:
    """One received pose. Arrays are the receiver's own."""

    message: PoseMessage
    joints: np.ndarray  # [15, 3] metres, camera axes
    confidence: np.ndarray  # [15] 0..1
    keypoints: np.ndarray  # [15, 2] pixels on the camera's own frame
    t_receive_ns: int  # this machine's monotonic clock
    same_clock: bool  # as the publisher's: not so across machines, through a tunnel, or out of a virtual machine
    before: PoseMessage | None = field(default=None, repr=False)  # received before, where this one continues it

    @property
    def stream(self) -> str:
        """Name of its stream."""
        return self.message.stream

    @property
    def seq(self) -> int:
        """Number of its frame, of all that the camera made."""
        return self.message.seq

    @property
    def t_capture_ns(self) -> int:
        """When its frame was captured, on the publisher's monotonic clock."""
        return self.message.t_capture_ns

    def age_ns(self) -> int:
        """Time since the frame was captured. Across machines it is as good as their wall clocks agree."""
        if self.same_clock:
            return time.monotonic_ns() - self.message.t_capture_ns
        return time.time_ns() - self.t_capture_wall_ns

    @property
    def clock_offset_ns(self) -> int:
        """The publisher's wall clock minus its monotonic clock."""
        return self.message.clock_offset_ns

    @property
    def t_capture_wall_ns(self) -> int:
        """Capture time as Unix time by the publisher's wall clock, for machines whose clocks are synchronised."""
        return self.message.t_capture_ns + self.message.clock_offset_ns

    def joint(self, name: str) -> np.ndarray:
        """One joint [3] by name, such as "left_wrist"."""
        return self.joints[JOINTS.index(name)]

    def unity(self) -> np.ndarray:
        """Joints [15, 3] in Unity's axes: left-handed, x right, y up, z forward, metres."""
        return self.joints * UNITY

    def openxr(self) -> np.ndarray:
        """Joints [15, 3] in OpenXR's axes: right-handed, x right, y up, z backward, metres."""
        return self.joints * OPENXR

    @property
    def sigma_m(self) -> np.ndarray | None:
        """How far off each joint is on average, [15] metres; None where the weights do not say."""
        return None if self.message.sigma_m is UNSET else np.array(self.message.sigma_m, float)

    @property
    def joints_world(self) -> np.ndarray | None:
        """Joints [15, 3] in the room, metres, OpenXR's axes (y up); None where the publisher is of release 0.1.0.

        ``world`` says what placed them: it may be a guess.
        """
        return None if self.message.joints_world is UNSET else np.array(self.message.joints_world, float)

    @property
    def world(self) -> str:
        """What the room comes from: headset, imu or guess; empty where the pose is not in a room."""
        return "" if self.message.world is UNSET else self.message.world

    def at(self, t_ns: int) -> TrackedPose:
        """The pose as it will be at a time of this machine's monotonic clock, such as when a picture is shown.

        ``joints`` and ``joints_world`` go on at a part of their speed since the pose received before, for up to 100 ms
        after the capture; without one, they stay. All else is that of this pose.
        """
        ahead_ns = t_ns - self.t_capture_ns if self.same_clock else t_ns - time.monotonic_ns() + self.age_ns()
        if self.before is None:
            return self
        step_ns = self.t_capture_ns - self.before.t_capture_ns
        joints = ahead(self.joints, np.array(self.before.joints, float), step_ns, ahead_ns)
        moved = {"joints": joints.tolist()}
        if self.joints_world is not None and self.before.joints_world is not UNSET and self.world == self.before.world:
            in_room = ahead(self.joints_world, np.array(self.before.joints_world, float), step_ns, ahead_ns)
            moved["joints_world"] = in_room.tolist()
        return replace(self, message=msgspec.structs.replace(self.message, **moved), joints=joints, before=None)


class PoseSubscriber:
    """Subscribes to one stream, or with ``stream=None`` and ``every=True`` to all of a run (``pose.stream`` tells them
    apart).

        with PoseSubscriber() as poses:
            pose = poses.newest(timeout=1.0)   # TrackedPose, or None
            pose.joints                        # [15, 3] metres, camera axes

    every: receive every message instead of the newest (for recording). server_key: the publisher's public CURVE
    certificate; client_key: one's own secret one, when the publisher admits known clients only.
    Not thread-safe: one thread per subscriber.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        stream: str | None = "0",
        *,
        every: bool = False,
        server_key: str = "",
        client_key: str = "",
    ):
        if stream is None and not every:
            raise EgostreamError(
                "the newest of all streams would be one stream's: name a stream, or receive every message (every=True)"
            )
        if client_key and not server_key:
            raise EgostreamError("a client key needs the server's public key as well (server_key, --server-key)")
        self.endpoint = endpoint
        self.same_host = is_loopback(endpoint)
        self.context = zmq.Context()
        self.poses = self.connect(topic(POSE_TOPIC, stream), conflate=not every, keys=(server_key, client_key))
        is_one = stream is not None  # of several streams, the newest status would hide the others'
        self.statuses = self.connect(topic(STATUS_TOPIC, stream), conflate=is_one, keys=(server_key, client_key))
        self.last_status: StatusMessage | None = None
        self.last_poses: dict[str, PoseMessage] = {}  # by stream

    def connect(self, prefix: bytes, conflate: bool, keys: tuple[str, str]) -> zmq.Socket:
        """A socket for one topic: CONFLATE keeps one message per socket, whatever its topic."""
        socket = self.context.socket(zmq.SUB)
        socket.linger = 0
        if conflate:
            socket.conflate = 1  # before connect, or it has no effect
        else:
            socket.rcvhwm = 0
        if keys[0]:
            curve.join(socket, *keys)
        socket.maxmsgsize = MAX_MESSAGE
        use_ipv6(socket, self.endpoint)
        socket.subscribe(prefix)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise EgostreamError(
                f"cannot connect to {self.endpoint}: {error}. An endpoint looks like {DEFAULT_ENDPOINT}"
            ) from None
        return socket

    def newest(self, timeout: float | None = None) -> TrackedPose | None:
        """The newest pose not returned before, or None after ``timeout`` seconds (None: wait for ever).

        With ``every=True``: the next one. Raises EgostreamError on a malformed message, for a timeout that is none, and
        once the subscriber is closed.
        """
        if (data := receive(self.poses, timeout)) is None:
            return None
        t_receive_ns = time.monotonic_ns()
        message = unpack_as(PoseMessage, data)
        is_same = is_same_clock(message, t_receive_ns)
        before = self.last_poses.get(message.stream) if message.continues else None
        if len(self.last_poses) >= MOST_STREAMS:  # names without end are no run's
            self.last_poses.clear()
        self.last_poses[message.stream] = message
        return TrackedPose(
            message,
            joints=np.array(message.joints, float),
            confidence=np.array(message.confidence, float),
            keypoints=np.array(message.keypoints, float),
            t_receive_ns=t_receive_ns,
            same_clock=self.same_host and is_same,
            before=before,
        )

    def status(self, timeout: float | None = 0.0) -> StatusMessage | None:
        """The newest status, waiting up to ``timeout`` seconds for the first; the publisher repeats it every second."""
        wait = 0.0 if self.last_status else timeout
        while (status := self.new_status(wait)) is not None:
            self.last_status, wait = status, 0.0
        return self.last_status

    def new_status(self, timeout: float | None = 0.0) -> StatusMessage | None:
        """The next status not returned before, or None after ``timeout`` seconds. With ``stream=None``: of any stream.

        Raises EgostreamError on a malformed message.
        """
        data = receive(self.statuses, timeout)
        return None if data is None else unpack_as(StatusMessage, data)

    def close(self) -> None:
        """Close the sockets."""
        self.poses.close()
        self.statuses.close()
        self.context.term()

    def __enter__(self) -> PoseSubscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_same_clock(message: PoseMessage, now_ns: int) -> bool:
    """Whether a message's monotonic clock is this machine's: the wall clock says so, or it was published just now.

    The second holds where the wall clock was set while the message was on its way.
    """
    offset_ns = clock_offset_ns() - message.clock_offset_ns
    return abs(offset_ns) < SAME_CLOCK_NS or 0 <= now_ns - message.t_publish_ns < SAME_CLOCK_NS


def milliseconds(seconds: float | None) -> int | None:
    """A timeout as ZeroMQ takes it; None: for ever. What is shorter than a millisecond still waits for one.

    Raises EgostreamError for what is no length of time.
    """
    if seconds is None:
        return None
    if not 0 <= seconds <= LONGEST_S:  # also NaN; ZeroMQ would take a negative one for "for ever"
        raise EgostreamError(f"timeout is {seconds}; give seconds from 0 to {LONGEST_S}, or None to wait for ever")
    return math.ceil(seconds * 1000)


def receive(socket: zmq.Socket, timeout: float | None) -> bytes | None:
    """One message, or None after ``timeout`` seconds (None: wait for ever). Raises EgostreamError."""
    try:
        return socket.recv() if socket.poll(milliseconds(timeout)) else None
    except zmq.ZMQError as error:
        raise EgostreamError(f"the subscriber cannot receive: {error}. Was it closed? Make a new one") from None
