"""When a stream's motion is due, old, pressing: policy alone, nothing is run here."""

from __future__ import annotations

from collections import deque

import numpy as np

#: Part of the window's span, but two steps at least. Poses take no motion that is older: they wait for that of their own frame.
OLDEST, OLDEST_STEPS = 0.25, 2


#: Motion that found no better time is computed bit by bit, over the frames in so much of the time that it may get old.
SPREAD = 0.15


#: A stream is slow that has fewer frames than this in the time that its motion may get old.
SLOW_FRAMES = 3.5


#: Frames whose shortest distance is taken for their rate: now and then one is lost.
LAST = 4


class MotionTurn:
    """One stream's newest motion feature, and when the next is due: at the frame nearest to each multiple of the trained step."""

    def __init__(self, step_ns: int, oldest_ns: int, channels: int):
        self.step_ns, self.oldest_ns, self.motion = step_ns, oldest_ns, np.zeros(channels, np.float32)
        self.taken_ns, self.due_ns, self.seen_ns = 0, 0, 0
        self.between_ns: deque[int] = deque(maxlen=LAST)

    def saw(self, t_ns: int, before_ns: int | None) -> None:
        """A frame captured at ``t_ns``; ``before_ns``: the one before."""
        self.seen_ns = t_ns
        if before_ns is None:
            self.between_ns.clear()
        else:
            self.between_ns.append(t_ns - before_ns)

    @property
    def frame_ns(self) -> int:
        """Time between frames, as far as it is known."""
        return min(self.between_ns, default=0)

    def is_due(self, t_ns: int) -> bool:
        """Whether the motion of that frame is to be computed, if it is not yet."""
        return t_ns != self.taken_ns and t_ns + self.frame_ns / 2 >= self.due_ns

    def is_old(self) -> bool:
        """Whether the newest motion is too old for a pose of the frame last seen."""
        return self.left_ns() < 0

    def is_pressing(self, left: float) -> bool:
        """Whether the next, of which such a part is left to compute, must go on: the newest will soon be too old.

        Not of a slow stream, whose poses gain more from waiting for their own now and then.
        """
        if self.frame_ns * SLOW_FRAMES > self.oldest_ns:
            return False
        frames = SPREAD * self.oldest_ns // max(self.frame_ns, 1)
        return self.left_ns() - self.frame_ns < left * frames * self.frame_ns

    def left_ns(self) -> int:
        """How much older the newest motion may get."""
        return self.taken_ns + self.oldest_ns - self.seen_ns

    def took(self, t_ns: int, motion: np.ndarray, anew: bool) -> None:
        """The motion of that frame. anew: steps are counted from it on."""
        is_late = t_ns - self.due_ns >= self.step_ns
        self.taken_ns, self.due_ns = t_ns, (t_ns if anew or is_late else self.due_ns) + self.step_ns
        self.motion[:] = motion
