"""Gathering the causal window by time."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.infer.window import CausalWindow

STEP = 33_333_333
SLOTS = 64


def brute_force(times, now, slots=SLOTS, step=STEP):
    """For each past slot, oldest first, the index of the nearest time within half a step (half-open), or None."""
    chosen = []
    for k in range(slots - 1, 0, -1):
        best = None
        for i, t in enumerate(times):
            offset = now - t - k * step
            if -step < 2 * offset <= step and (best is None or (abs(offset), now - t) < best[:2]):
                best = (abs(offset), now - t, i)
        chosen.append(None if best is None else best[2])
    return chosen


def selected(window, now):
    rows, valid = window.select(now)
    return [int(row) if ok else None for row, ok in zip(rows, valid)]


@pytest.mark.parametrize("fps", [10, 15, 24, 25, 30, 50, 60, 90, 119.88])
@pytest.mark.parametrize("jitter", [0, 4_000_000])
@pytest.mark.parametrize("drop", [0.0, 0.3])
def test_selection_is_the_nearest_within_half_a_step(fps, jitter, drop):
    rng = np.random.default_rng(int(fps * 7 + jitter + drop * 10))
    times = np.sort(np.arange(200) * int(1e9 / fps) + rng.integers(-jitter, jitter + 1, 200))
    times = times[np.concatenate([[True], rng.random(199) >= drop])]
    window = CausalWindow(SLOTS, STEP)
    for n, t in enumerate(times):
        if n % 37 == 0 or n == len(times) - 1:
            assert selected(window, t) == brute_force(times[:n], t)
        window.keep(t)


def test_at_the_trained_rate_the_window_is_the_last_frames():
    window = CausalWindow(SLOTS, STEP)
    for n in range(100):
        if n == 5:
            assert selected(window, n * STEP) == [None] * (SLOTS - 1 - 5) + [0, 1, 2, 3, 4]
        if n == 99:
            assert selected(window, n * STEP) == list(range(99 - 63, 99))
        window.keep(n * STEP)


def test_three_times_the_rate_takes_every_third_frame():
    window = CausalWindow(SLOTS, 33_333_333)
    for n in range(300):
        window.keep(n * 11_111_111)
    assert selected(window, 300 * 11_111_111) == list(range(300 - 63 * 3, 300, 3))


def test_half_the_rate_leaves_every_other_slot_absent():
    window = CausalWindow(8, STEP)
    for n in range(10):
        window.keep(n * 2 * STEP)
    assert selected(window, 20 * STEP) == [None, 7, None, 8, None, 9, None]


def test_no_frame_fills_two_slots():
    """A frame exactly half-way belongs to the newer slot alone."""
    window = CausalWindow(8, 20)
    window.keep(0)
    assert selected(window, 30) == [None] * 6 + [0]
    assert selected(window, 31) == [None] * 5 + [0, None]


def test_the_ring_overwrites_the_oldest():
    window = CausalWindow(8, STEP, capacity=16)
    rows = [window.keep(n * STEP) for n in range(40)]
    assert rows[16:32] == list(range(16))
    assert selected(window, 40 * STEP) == [n % 16 for n in range(33, 40)]


def test_continuity():
    window = CausalWindow(8, STEP)
    assert not window.breaks(0)
    window.keep(1000)
    assert not window.breaks(1000 + 8 * STEP)
    assert window.breaks(1000 + 8 * STEP + 1)
    assert window.breaks(1000) and window.breaks(500)
    window.reset()
    assert not window.breaks(500)
    assert selected(window, 500) == [None] * 7
