"""When a stream's motion is due, pressing, too old: policy alone, nothing is run here.

t_taken            t_due                          pressing              oldest
|------ step ------|------- put off: fine --------|--- part by part ----|  poses wait for their own
the motion there   the next may be computed,      some parts after      no pose takes motion
is, of this frame  where no frame is waiting      each pose, though     that is older than this
                                                  frames wait
"""

from __future__ import annotations

from collections import deque

import numpy as np

#: Part of the window's span that motion may be old, but two steps at least. On the test recordings, motion put off to
#: this limit costs nothing: 84.82 mm MPJPE at 30 fps against 84.99 with motion on every frame (docs/motion.md).
OLDEST_PART, OLDEST_STEPS = 0.25, 2
#: Part of that age, its last, in which the next motion is computed bit by bit, over the frames in it. Chosen by hand:
#: of the shipped weights' four parts, a camera of 60 fps has one after each of four poses (5 ms in int8), one of 30 fps
#: two after each of two poses.
PRESSING_PART = 0.15
#: A stream with fewer frames than this within that age is slow: some seven a second. Spreading the parts over two or
#: three frames would hold up each of them; waiting for one's own motion now and then cost less (16 and 32 streams on
#: two cores).
SLOW_FRAMES = 3.5
#: Distances between frames, of which the shortest is taken for the camera's: a lost frame lengthens one of them only.
RECENT_FRAMES = 4


def oldest_motion_ns(window: int, step_ns: int) -> int:
    """How old motion may get, for a window of so many slots at the trained step."""
    return round(max(OLDEST_PART * window, OLDEST_STEPS) * step_ns)


class MotionTurn:
    """One stream's newest motion, and when the next is due: at the frame nearest to each multiple of the step."""

    def __init__(self, step_ns: int, oldest_ns: int, channels: int):
        self.step_ns, self.oldest_ns, self.motion = step_ns, oldest_ns, np.zeros(channels, np.float32)
        self.taken_ns, self.due_ns, self.seen_ns = 0, 0, 0
        self.between_ns: deque[int] = deque(maxlen=RECENT_FRAMES)

    def saw(self, t_ns: int, before_ns: int | None) -> None:
        """Note a frame captured at ``t_ns``; ``before_ns``: the one before, None after a break."""
        self.seen_ns = t_ns
        if before_ns is None:
            self.between_ns.clear()
        else:
            self.between_ns.append(t_ns - before_ns)

    @property
    def frame_ns(self) -> int:
        """Time between frames; 0 while it is unknown."""
        return min(self.between_ns, default=0)

    def is_due(self, t_ns: int) -> bool:
        """Whether the motion of the frame captured at ``t_ns`` is to be computed, if it is not yet."""
        return t_ns != self.taken_ns and t_ns + self.frame_ns / 2 >= self.due_ns

    def is_old(self) -> bool:
        """Whether the newest motion is too old for a pose of the frame last seen."""
        return self.left_ns() < 0

    def is_pressing(self, work_left: float) -> bool:
        """Whether the next motion must go on though frames wait: the newest will soon be too old.

        work_left: share of the next that is still to be computed, 1 for all of it. Slow streams never press: their
        poses gain more from waiting for their own motion now and then.
        """
        if self.frame_ns * SLOW_FRAMES > self.oldest_ns:
            return False
        frames = PRESSING_PART * self.oldest_ns // max(self.frame_ns, 1)
        return self.left_ns() - self.frame_ns < work_left * frames * self.frame_ns

    def left_ns(self) -> int:
        """How much older the newest motion may get."""
        return self.taken_ns + self.oldest_ns - self.seen_ns

    def took(self, t_ns: int, motion: np.ndarray, restart_steps: bool) -> None:
        """Keep the motion [384] of the frame captured at ``t_ns``. restart_steps: the steps are counted from it on."""
        is_late = t_ns - self.due_ns >= self.step_ns
        start_ns = t_ns if restart_steps or is_late else self.due_ns
        self.taken_ns, self.due_ns = t_ns, start_ns + self.step_ns
        self.motion[:] = motion
