"""Times of a recording's frames: from its first frame on, exact, and growing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from egostream.errors import EgostreamError

NS = 1_000_000_000
FPS_RANGE = 0.5, 1000.0  # frames per second that a recording may have; anything else is a damaged header
#: Frames that are looked at to find the next one with a good time. Chosen by hand: files that lack times lack single
#: ones, and each frame looked at is kept decoded, 4 MB of a 1280x1024 picture.
LOOK_AHEAD = 16
#: So many frames in a row whose times grow, and lie before those of frames before them, say that the clock was set
#: back: recordings put one behind the other do so. Fewer are mistakes of single frames. Chosen by hand.
SET_BACK_FRAMES = 3
#: A time further ahead than this, ns, is believed only when the frame behind it agrees: it may be a flipped bit, and
#: nobody would wait for a frame of tomorrow. Chosen by hand.
LEAP_NS = 10 * NS
DEFAULT_INTERVAL_NS = NS // 30  # between frames, where nothing tells it


class Placed(NamedTuple):
    """When a frame happens."""

    t_ns: int  # from the recording's first frame on
    is_new_part: bool  # whether time began anew here, so that the frame does not continue the one before


class TimelineState(NamedTuple):
    """What a timeline knows between two frames."""

    first_ticks: int | None
    origin_ns: int
    newest_ns: int | None
    interval_ns: int
    repaired: int


class Timeline:
    """Turns a container's times into times from the first frame on, which always grow.

    A frame whose time is missing, or does not lie after the frame's before it, is put between its neighbours and
    counted in ``repaired``.
    """

    def __init__(self, time_base: Fraction, interval_ns: int = 0):
        """time_base: a container's unit, seconds. interval_ns: the likely time between frames; 0: unknown."""
        self.time_base = time_base
        self.interval_ns = interval_ns or DEFAULT_INTERVAL_NS
        self.first_ticks: int | None = None  # the first time known: ours are exact from it on
        self.origin_ns = 0  # of our time, after the first time known
        self.newest_ns: int | None = None  # of the frame placed last
        self.repaired = 0  # frames whose own time could not be used

    def state(self) -> TimelineState:
        """All that later times depend on."""
        return TimelineState(self.first_ticks, self.origin_ns, self.newest_ns, self.interval_ns, self.repaired)

    def go_on_from(self, state: TimelineState) -> None:
        """Go on where another timeline of the same file was."""
        self.first_ticks, self.origin_ns, self.newest_ns, self.interval_ns, self.repaired = state

    def container_ns(self, ticks: int) -> int:
        """A container's time, ns, rounded to the nearest."""
        num, den = self.time_base.numerator * NS, self.time_base.denominator
        return (2 * ticks * num + den) // (2 * den)

    def place(self, ahead: Sequence[int | None], is_all: bool) -> Placed | None:
        """When the first of the frames ``ahead`` happens, or None when more of them must be known first.

        ahead: the container's times of the next frames, in its unit, None where one is missing. is_all: whether no
        frame comes after them.
        """
        if len(ahead) < 2 and not is_all:
            return None
        may_ask = not is_all and len(ahead) < LOOK_AHEAD
        if self.first_ticks is None:
            self.first_ticks = next((ticks for ticks in ahead if ticks is not None), None)
        first = self.first_ticks or 0
        own = [None if ticks is None else self.container_ns(ticks - first) for ticks in ahead]
        if self.newest_ns is None:
            return self.place_first(own, may_ask)
        newest_ns = self.newest_ns
        times = [None if t is None else t - self.origin_ns for t in own]
        head = times[0]
        if head is not None and head > newest_ns and not is_leap(newest_ns, times):
            self.interval_ns = head - newest_ns
            return self.keep(head)
        good = next((k for k in range(1, len(times)) if is_after(newest_ns, times[k:])), None)
        if good is None and may_ask:
            return None
        if head is not None and is_set_back(newest_ns, times):
            self.origin_ns += head - (newest_ns + self.interval_ns)
            return self.keep(newest_ns + self.interval_ns, is_new_part=True)
        self.repaired += 1
        if good is None:
            return self.keep(newest_ns + self.interval_ns)
        until_ns = times[good]
        assert until_ns is not None
        return self.keep(max(newest_ns + 1, newest_ns + (until_ns - newest_ns) // (good + 1)))

    def place_first(self, own: Sequence[int | None], may_ask: bool) -> Placed | None:
        """When the recording's first frame happens, which is at 0; its own time, or the next one's, is the origin."""
        good = next((k for k, t in enumerate(own) if t is not None), None)
        if good is None and may_ask:
            return None
        if good is not None:
            t_ns = own[good]
            assert t_ns is not None
            self.origin_ns = t_ns - good * self.interval_ns
        self.repaired += good != 0
        return self.keep(0)

    def keep(self, t_ns: int, is_new_part: bool = False) -> Placed:
        """The frame placed at ``t_ns``, which is the newest now."""
        self.newest_ns = t_ns
        return Placed(t_ns, is_new_part)


def is_leap(newest_ns: int, times: Sequence[int | None]) -> bool:
    """Whether the first of ``times`` is far ahead, and the one behind it lies before it again."""
    head, behind = times[0], times[1] if len(times) > 1 else None
    return head is not None and head - newest_ns > LEAP_NS and behind is not None and newest_ns < behind < head


def is_set_back(newest_ns: int, times: Sequence[int | None]) -> bool:
    """Whether the next frames have a clock of their own, which runs from before ``newest_ns``."""
    first = times[:SET_BACK_FRAMES]
    growing = [t for t in first if t is not None]
    return len(growing) == SET_BACK_FRAMES and growing[-1] <= newest_ns and growing == sorted(set(growing))


def is_after(newest_ns: int, times: Sequence[int | None]) -> bool:
    """Whether the first of ``times`` can be believed and lies after ``newest_ns``."""
    return times[0] is not None and times[0] > newest_ns and not is_leap(newest_ns, times)


def even_ns(index: int, fps: float) -> int:
    """When frame ``index`` of a recording of constant rate happens, ns."""
    return round(index * Fraction(NS) / Fraction(fps))


def check_fps(fps: float, path: Path) -> None:
    """Raise EgostreamError for a rate at which ``path`` cannot be played."""
    least, most = FPS_RANGE
    if not least <= fps <= most:
        raise EgostreamError(
            f"{path} would play at {fps:g} frames per second; {least:g} to {most:g} is possible. "
            "Give its rate: --fps 30"
        )
