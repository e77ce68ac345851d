"""One head's poses over time: which are believed, and the pose at any moment between and shortly after them."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from egostream.head.rotations import angle, slerp

HISTORY_NS = 4_000_000_000  # how far back a frame may have been captured
#: Samples further apart say nothing of what lies between them.
MAX_GAP_NS = 250_000_000
#: How long after the newest sample its movement goes on. A frame is 15 to 50 ms old when its pose goes out.
MAX_AHEAD_NS = 50_000_000
#: Samples nearer to one another than this tell no speed: their noise would be it.
SPEED_SPAN_NS = 8_000_000
#: What no head does: beyond a distance and an angle, how fast it may move. A sprinter makes 10 m/s; a quick turn of the
#: head 10 rad/s.
JUMP_M, TOP_SPEED = 0.1, 12.0
JUMP_RAD, TOP_TURN = 0.35, 25.0
#: So many samples in a row that agree with one another and not with those before: the room was moved (recentred).
MOVED_COUNT = 5


@dataclass(frozen=True)
class HeadSample:
    """A head's pose in the room: OpenXR axes (x right, y up, z backward)."""

    t_ns: int  # this machine's monotonic clock
    position: np.ndarray  # [3] metres
    orientation: np.ndarray  # [4] unit quaternion x, y, z, w
    space: str = ""  # what the sender calls its room


class HeadTrack:
    """The samples of one head."""

    def __init__(self) -> None:
        self.samples: list[HeadSample] = []
        self.doubted: list[HeadSample] = []  # they do not follow from the samples, but from one another

    @property
    def newest(self) -> HeadSample | None:
        """The newest sample that is believed."""
        return self.samples[-1] if self.samples else None

    def add(self, sample: HeadSample) -> str:
        """Take a sample. Returns why it is refused: ``out of order`` or ``jump``; empty when it is taken."""
        if self.samples and sample.t_ns <= self.samples[-1].t_ns:
            return "out of order"
        if self.samples and is_jump(self.samples[-1], sample):
            return self.doubt(sample)
        self.doubted.clear()
        self.samples.append(sample)
        if self.samples[0].t_ns < sample.t_ns - 2 * HISTORY_NS:
            self.samples = self.samples[self.first_since(sample.t_ns - HISTORY_NS) :]
        return ""

    def doubt(self, sample: HeadSample) -> str:
        """Refuse a sample after a jump, unless enough others say the same."""
        if self.doubted and (sample.t_ns <= self.doubted[-1].t_ns or is_jump(self.doubted[-1], sample)):
            self.doubted.clear()
        self.doubted.append(sample)
        if len(self.doubted) < MOVED_COUNT:
            return "jump"
        self.samples, self.doubted = self.doubted, []
        return ""

    def first_since(self, t_ns: int) -> int:
        """Number of the first sample after a moment."""
        return bisect_right(self.samples, t_ns, key=lambda sample: sample.t_ns)

    def at(self, t_ns: int) -> HeadSample | None:
        """The pose at a moment: between two samples, or up to 50 ms after the newest; None where nothing is known.

        So it is between two rooms of different names.
        """
        number = self.first_since(t_ns)
        if number == 0:
            return None
        before = self.samples[number - 1]
        if t_ns == before.t_ns:
            return before
        if number < len(self.samples):
            after = self.samples[number]
            is_one_move = after.t_ns - before.t_ns <= MAX_GAP_NS and after.space == before.space
            return between(before, after, t_ns) if is_one_move else None
        return self.ahead(t_ns) if t_ns - before.t_ns <= MAX_AHEAD_NS else None

    def ahead(self, t_ns: int) -> HeadSample:
        """The pose shortly after the newest sample, at the speed that it had. A single sample stands still."""
        newest = self.samples[-1]
        earlier = next((one for one in self.samples[-2::-1] if newest.t_ns - one.t_ns >= SPEED_SPAN_NS), None)
        if earlier is None or newest.t_ns - earlier.t_ns > MAX_GAP_NS or newest.space != earlier.space:
            return HeadSample(t_ns, newest.position, newest.orientation, newest.space)
        return between(earlier, newest, t_ns)


def is_jump(before: HeadSample, after: HeadSample) -> bool:
    """Whether no head moves so from one sample to the other."""
    seconds = (after.t_ns - before.t_ns) / 1e9
    distance = math.dist(after.position, before.position)
    turn = angle(before.orientation, after.orientation)
    return distance > JUMP_M + TOP_SPEED * seconds or turn > JUMP_RAD + TOP_TURN * seconds


def between(before: HeadSample, after: HeadSample, t_ns: int) -> HeadSample:
    """The pose at a moment, at the constant speed between two samples; beyond them as well."""
    share = (t_ns - before.t_ns) / (after.t_ns - before.t_ns)
    position = before.position + share * (after.position - before.position)
    return HeadSample(t_ns, position, slerp(before.orientation, after.orientation, share), after.space)
