"""Which frames are worth decoding."""

from __future__ import annotations

import math
import time
from collections import deque

from egostream.handover.frame_ring import FrameRing

#: So many camera frames before inference is due, decoding begins, so that a fresh frame is there in time. Two, since
#: one may just have gone by. Chosen by hand; the tests play readers of several speeds against it.
EARLY_FRAMES = 2
#: Times between frames taken that are remembered; the shortest of them says when inference is due. Chosen by hand; not
#: measured.
REMEMBERED_TIMES = 4
#: A frame that waits for longer, ns, is replaced whether or not inference is due, so that the newest is never old.
#: Chosen by hand; not measured.
OLD_NS = 200_000_000
#: Time over which a frame rate is smoothed, seconds. Chosen by hand; not measured.
SMOOTHED_S = 1.0


class Demand:
    """Which frames are worth decoding, where inference serves so many streams that it takes few of each.

    One right after a frame was taken, so that there always is one to take; then hardly any until the next is due,
    by the shortest time between the last few. Decoding all of them would take the processor from the network: eight
    streams on two cores gave 26 poses a second where every frame was decoded, and give 30.8 with this rule.
    """

    def __init__(self, ring: FrameRing):
        self.ring = ring
        self.taken_ns = 0  # when the last frame was taken; 0: none yet
        self.between_ns: deque[int] = deque(maxlen=REMEMBERED_TIMES)
        self.decoded_ns = 0  # when the last frame was wanted; 0: none yet

    def wants(self, now_ns: int, frame_s: float | None) -> bool:
        """Whether a frame that came at ``now_ns`` is worth decoding.

        frame_s: time between the camera's frames, seconds; None while it is unknown.
        """
        self.look_at_ring()
        wanted = self.ring.is_consumed() or now_ns >= min(self.due_ns(frame_s), self.decoded_ns + OLD_NS)
        if wanted:
            self.decoded_ns = now_ns
        return wanted

    def look_at_ring(self) -> None:
        """Remember when inference took a frame, if it did since the last look."""
        taken_ns = int(self.ring["t_consumed_ns"])
        if taken_ns == self.taken_ns:
            return
        if self.taken_ns:
            self.between_ns.append(taken_ns - self.taken_ns)
        self.taken_ns = taken_ns

    def due_ns(self, frame_s: float | None) -> float:
        """When to begin decoding for the next time that inference comes, ns; infinite while that is unknown."""
        return self.taken_ns + min(self.between_ns, default=math.inf) - EARLY_FRAMES * 1e9 * (frame_s or 0)


class Rate:
    """Frames per second, smoothed over about a second."""

    def __init__(self) -> None:
        self.last_s: float | None = None  # when the last frame came
        self.period_s: float | None = None  # time between frames, smoothed; None: unknown yet

    def tick(self) -> float:
        """Count a frame that came now, and return frames per second; 0 while that is unknown."""
        now_s = time.monotonic()
        if self.last_s is not None:
            elapsed_s = now_s - self.last_s
            weight = min(1.0, elapsed_s / SMOOTHED_S)
            if self.period_s is None:
                self.period_s = elapsed_s
            else:
                self.period_s += weight * (elapsed_s - self.period_s)
        self.last_s = now_s
        return 1 / self.period_s if self.period_s else 0.0
