"""Which frames are worth decoding."""

from __future__ import annotations

import math
import time
from collections import deque

from egostream.handover.frame_ring import FrameRing

EARLY_FRAMES = 2  # so many frames before one is due, the next is decoded


LAST = 4  # times between frames taken


OLD_NS = 200_000_000  # a frame that waits for longer is replaced whether or not one is due


class Demand:
    """Which frames are worth decoding, where inference serves so many streams that it takes few of each.

    One right after a frame was taken, so that there always is one to take; then hardly any until the next is due,
    by the shortest time between the last few. Decoding all of them would take the processor from the network.
    """

    def __init__(self, ring: FrameRing):
        self.ring, self.taken_ns, self.between_ns, self.decoded_ns = ring, 0, deque(maxlen=LAST), 0

    def wants(self, now_ns: int, frame_s: float | None) -> bool:
        """frame_s: time between the camera's frames, if known."""
        if (taken_ns := int(self.ring["t_consumed_ns"])) != self.taken_ns:
            self.between_ns.extend([taken_ns - self.taken_ns] if self.taken_ns else [])
            self.taken_ns = taken_ns
        due_ns = self.taken_ns + min(self.between_ns, default=math.inf) - EARLY_FRAMES * 1e9 * (frame_s or 0)
        wanted = self.ring.is_consumed() or now_ns >= min(due_ns, self.decoded_ns + OLD_NS)
        self.decoded_ns = now_ns if wanted else self.decoded_ns
        return wanted


class Rate:
    """Frames per second, smoothed over about a second."""

    def __init__(self):
        self.last, self.period = None, None

    def tick(self) -> float:
        now = time.monotonic()
        if self.last is not None:
            elapsed = now - self.last
            weight = min(1.0, elapsed)
            self.period = elapsed if self.period is None else self.period + weight * (elapsed - self.period)
        self.last = now
        return 1 / self.period if self.period else 0.0
