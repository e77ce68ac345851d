"""The timeline of a recording: exact, growing, and what becomes of times that are missing or wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egostream.capture.stamps import LOOK_AHEAD, Placed, Timeline, even_ns

MS = Fraction(1, 1000)


def place_all(times: list[int | None], time_base: Fraction = MS) -> tuple[list[Placed], Timeline]:
    """All frames placed, each with as few of the following ones as the timeline asks for."""
    line, placed = Timeline(time_base), []
    for n in range(len(times)):
        ahead = 1
        while (found := line.place(times[n : n + ahead], n + ahead >= len(times))) is None:
            ahead += 1
            assert ahead <= LOOK_AHEAD + 1
        placed.append(found)
    return placed, line


def ms(placed: list[Placed]) -> list[float]:
    return [p.t_ns / 1e6 for p in placed]


@given(
    st.lists(st.integers(1, 2_000_000), min_size=1, max_size=60), st.integers(-(2**40), 2**40),
    st.sampled_from([Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 1_000_000_000), Fraction(1, 15_360)]),
)  # fmt: skip
def test_growing_times_are_kept_exactly(steps, first, time_base):
    ticks = [first]
    for step in steps:
        ticks.append(ticks[-1] + (step if time_base < Fraction(1, 1000) else step % 200 + 1))
    placed, line = place_all(ticks, time_base)
    for t, p in zip(ticks, placed):
        assert abs((t - first) * time_base * 10**9 - p.t_ns) <= Fraction(1, 2)
    assert not line.repaired and not any(p.is_new_part for p in placed)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 3000)), min_size=1, max_size=80))
def test_whatever_a_file_says_times_grow(times):
    placed, _ = place_all(times)
    assert len(placed) == len(times) and placed[0].t_ns == 0
    assert all(before.t_ns < after.t_ns for before, after in zip(placed, placed[1:]))


@pytest.mark.parametrize(
    ("times", "expected", "repaired"),
    [
        ([0, 40, None, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, 40, None, None, 160], [0, 40, 80, 120, 160], 2),
        ([None, None, 80, 120], [0, 66.666666, 66.666666 + 40], None),
        ([0, 40, 40, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, 40, 0, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, 40, 10**9, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, 40, 80, None], [0, 40, 80, 120], 1),
        ([0, 40, 80, 30_080, 30_120], [0, 40, 80, 30_080, 30_120], 0),
        ([0, 40, 30_080], [0, 40, 30_080], 0),
    ],
    ids=[
        "missing",
        "two missing",
        "missing first",
        "twice",
        "back once",
        "leap",
        "missing last",
        "pause",
        "last pause",
    ],
)
def test_odd_times_lie_between_their_neighbours(times, expected, repaired):
    placed, line = place_all(times)
    if repaired is None:  # where the first ones are missing, the usual interval tells how long they took
        assert [p.t_ns for p in placed][:2] == [0, 33_333_333] and ms(placed)[3] - ms(placed)[2] == pytest.approx(40)
        return
    assert ms(placed) == expected and line.repaired == repaired and not any(p.is_new_part for p in placed)


def test_a_clock_set_back_begins_a_new_part_and_time_goes_on():
    placed, line = place_all([*range(5000, 5400, 40), *range(0, 400, 40)])
    assert ms(placed) == [40.0 * n for n in range(20)] and line.repaired == 0
    assert [n for n, p in enumerate(placed) if p.is_new_part] == [10]


@given(st.integers(0, 10_000_000), st.sampled_from([30.0, 25.0, 59.94, 0.5, 1000.0]))
def test_even_times_do_not_drift(index, fps):
    assert abs(even_ns(index, fps) - index * 10**9 / Fraction(fps)) <= Fraction(1, 2)
