"""The causal window: which kept frames fill its slots, by capture time at the trained step."""

from __future__ import annotations

import numpy as np

#: Faster cameras than this lose the oldest slots of their window: twice the fastest that the pipeline was tried with.
FASTEST_FPS = 240


def fill_slots(age_ns: np.ndarray, past: int, step_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of some frames fill the past slots of the newest, oldest first, and which slots are filled.

    age_ns int [frames]: how much older than the newest each frame is. Returns int [past] (0 for an absent slot) and
    bool [past]. The rule is ``CausalWindow``'s.
    """
    chosen, valid = np.zeros(past, np.int64), np.zeros(past, bool)
    slot = -((step_ns - 2 * age_ns) // (2 * step_ns))  # ceil(age / step - 1/2), in integers
    inside = np.flatnonzero((slot >= 1) & (slot <= past))
    age, slot = age_ns[inside], slot[inside]
    distance = np.abs(age - slot * step_ns)
    order = np.lexsort((-age, -distance))  # the nearest last, of two equally near the newer: the last write stays
    chosen[past - slot[order]] = inside[order]
    valid[past - slot] = True
    return chosen, valid


class CausalWindow:
    """Capture times of the kept frames in a ring, and the choice of one per past slot.

    Slot k of the window lies k steps before the newest frame. It holds the kept frame nearest to that time, if
    one lies within half a step; a frame half-way between two slots belongs to the newer slot, so that no frame
    fills two.
    """

    def __init__(self, slots: int, step_ns: int, capacity: int | None = None):
        """capacity: frames kept; by default enough for the window's span at FASTEST_FPS."""
        self.slots, self.step_ns = slots, step_ns
        self.capacity = capacity or max(64, round(slots * step_ns * FASTEST_FPS / 1e9) + 1)
        self.times = np.zeros(self.capacity, np.int64)
        self.count = 0  # frames kept since the last reset
        self.newest_ns: int | None = None

    def reset(self) -> None:
        """Forget every frame."""
        self.count, self.newest_ns = 0, None

    def breaks(self, t_ns: int) -> bool:
        """Whether a frame at ``t_ns`` cannot continue the window: time ran back, or the gap outlasts it."""
        if self.newest_ns is None:
            return False
        return not 0 < t_ns - self.newest_ns <= self.slots * self.step_ns

    def select(self, t_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Ring rows for the past slots of a window ending at ``t_ns``, oldest first, and which are present.

        Returns rows int [slots - 1] and valid bool [slots - 1]; absent slots have row 0.
        """
        return fill_slots(t_ns - self.times[: min(self.count, self.capacity)], self.slots - 1, self.step_ns)

    def keep(self, t_ns: int) -> int:
        """Record a frame, be it the newest or not. Returns the ring row its data belongs in, over the oldest one."""
        row = self.count % self.capacity
        self.times[row] = t_ns
        self.count += 1
        self.newest_ns = max(t_ns, self.newest_ns or t_ns)
        return row

    def saw(self, t_ns: int) -> None:
        """Note the newest frame's time without keeping anything of it: the next must continue from there."""
        self.newest_ns = t_ns
