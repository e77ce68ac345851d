"""Head poses that others send to a run: received, checked one by one, counted, and kept for each stream."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import zmq
from msgspec import UNSET

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.head.rotations import matrix
from egostream.head.track import HeadSample, HeadTrack
from egostream.publish import curve
from egostream.publish.client import SAME_CLOCK_NS
from egostream.publish.connections import PeerLimit, most_peers
from egostream.publish.endpoints import bind
from egostream.publish.message import HEAD_TOPIC, OPENXR_FRAME, HeadMessage, clock_offset_ns, topic, unpack_as
from egostream.publish.publisher import HANDSHAKE_MS

#: Messages kept while no frame is looked at, and read at one go: a second of a tracker that sends a thousand a second.
RECEIVE_QUEUE = 1000
#: Longest message that a peer may send, bytes; ours have 250. libzmq resets a peer that announces more.
MAX_MESSAGE = 4096
#: A sample from further away in time than this is on another clock. Senders on one clock are some milliseconds off.
MOST_AHEAD_NS, MOST_BEHIND_NS = 200_000_000, 5_000_000_000
#: Nobody sends any more, rather than late.
ENDED_NS = 500_000_000
#: Lengths of a quaternion that is meant to be of length 1, and of gravity: a direction, or in m/s2.
UNIT_RANGE, GRAVITY_RANGE = (0.9, 1.1), (0.5, 20.0)
UP = np.array([0.0, 1.0, 0.0])

#: What to do about messages that are refused, by the reason.
ADVICE = {
    "malformed": "docs/messages.md says what a head message holds",
    "axes": f'send frame "{OPENXR_FRAME}": x right, y up, z backward',
    "not a number": "look at the tracker that sends it",
    "not a rotation": "orientation is a unit quaternion x, y, z, w",
    "no gravity": "gravity points down in the head's axes, as a direction or in m/s2",
    "other clock": "let NTP set the clocks of both machines",
    "out of order": "one sender for each stream, and its stamps have to grow",
    "jump": "a head does not move so fast; where the room was moved, poses follow after some samples",
}


class Refused(Exception):
    """A message that is not used, with its reason."""


class StreamHead:
    """What is known of the head of one stream's wearer."""

    def __init__(self, name: str, say: Callable[[str], None]):
        self.name, self.say = name, say
        self.track = HeadTrack()
        self.gravity: tuple[int, np.ndarray] | None = None  # when, and the unit direction [3] in head axes
        self.received, self.received_ns = 0, 0
        self.refused: dict[str, int] = {}

    def take(self, message: HeadMessage, now_ns: int) -> None:
        """Keep a message's pose or gravity. Raises Refused."""
        self.received += 1
        self.received_ns = now_ns
        if message.frame != OPENXR_FRAME:
            raise Refused("axes")
        t_ns = here_ns(message, now_ns)
        orientation = unit(message.orientation, UNIT_RANGE, "not a rotation")
        gravity = unit(message.gravity, GRAVITY_RANGE, "no gravity")
        if orientation is not None and message.position is not UNSET:
            if reason := self.track.add(HeadSample(t_ns, numbers(message.position), orientation, message.space)):
                raise Refused(reason)
        elif gravity is not None:
            self.take_gravity(t_ns, gravity)
        elif orientation is not None:
            self.take_gravity(t_ns, -(UP @ matrix(orientation)))
        else:
            raise Refused("malformed")

    def take_gravity(self, t_ns: int, direction: np.ndarray) -> None:
        """Keep where down is. Raises Refused."""
        if self.gravity and t_ns <= self.gravity[0]:
            raise Refused("out of order")
        self.gravity = t_ns, direction

    def refuse(self, reason: str) -> None:
        """Count a message that is not used, and say so the first time."""
        if reason not in self.refused:
            self.say(f"stream {self.name}: a head pose was refused ({reason}): {ADVICE[reason]}")
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def state(self, now_ns: int, is_known: bool) -> str:
        """How the head is for a frame: tracking where it is known then; else none, late or ended."""
        if is_known:
            return "tracking"
        if not self.received:
            return "none"
        return "ended" if now_ns - self.received_ns > ENDED_NS else "late"


class HeadReceiver:
    """The SUB socket of a run. Raises EgostreamError where its endpoint cannot be bound."""

    def __init__(self, config: RunConfig, context: zmq.Context, names: Sequence[str], say: Callable[[str], None]):
        """context: the publisher's, whose known clients may send. names: of the streams."""
        self.heads = {name: StreamHead(name, say) for name in names}
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm, self.socket.maxmsgsize, self.socket.handshake_ivl = RECEIVE_QUEUE, MAX_MESSAGE, HANDSHAKE_MS
        if config.server_key:
            curve.serve(self.socket, config.server_key)
        for name in names:
            self.socket.subscribe(topic(HEAD_TOPIC, name))
        self.limit = PeerLimit(self.socket, most_peers())
        try:
            bind(self.socket, config.head, "head")
        except EgostreamError:
            self.close()
            raise

    def poll(self) -> None:
        """Take what has come, never waiting."""
        for _ in range(RECEIVE_QUEUE):
            try:
                data = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.take(data, time.monotonic_ns())

    def take(self, data: bytes, now_ns: int) -> None:
        """Give a message to its stream's head."""
        head = self.heads[data.partition(b"\0")[0].decode(errors="replace").partition("/")[2]]
        try:
            head.take(unpack_as(HeadMessage, data), now_ns)
        except EgostreamError:
            head.received += 1
            head.refuse("malformed")
        except Refused as refused:
            head.refuse(str(refused))

    def close(self) -> None:
        """Close the socket."""
        self.limit.close()
        self.socket.close()


def here_ns(message: HeadMessage, now_ns: int) -> int:
    """A message's time on this machine's monotonic clock. Raises Refused where it is not about now.

    As docs/messages.md says of clocks: where the offsets agree the clock is the same, else wall clocks are compared.
    """
    offset_ns = clock_offset_ns()
    differs = abs(offset_ns - message.clock_offset_ns) >= SAME_CLOCK_NS
    t_ns = message.t_ns + (message.clock_offset_ns - offset_ns if differs else 0)
    if not now_ns - MOST_BEHIND_NS <= t_ns <= now_ns + MOST_AHEAD_NS:
        raise Refused("other clock")
    return t_ns


def numbers(values: object) -> np.ndarray:
    """Finite numbers as an array. Raises Refused."""
    array = np.array(values, float)
    if not np.abs(array).max() < 1e6:  # also where one is not a number
        raise Refused("not a number")
    return array


def unit(values: object, lengths: tuple[float, float], reason: str) -> np.ndarray | None:
    """A vector or quaternion of length 1, None where it is unset. Raises Refused where its own is not in a range."""
    if values is UNSET:
        return None
    array = numbers(values)
    length = math.sqrt(array @ array)
    if not lengths[0] <= length <= lengths[1]:
        raise Refused(reason)
    return array / length
