"""The rate of a camera, as its process measures it. What is worth decoding is tested beside the ring."""

from __future__ import annotations

import pytest

from egostream.capture import demand
from egostream.capture.demand import Rate


@pytest.fixture
def clock(monkeypatch):
    """Seconds, as the rate sees them."""
    now = [100.0]
    monkeypatch.setattr(demand.time, "monotonic", lambda: now[0])
    return now


def ticks(rate, clock, period_s, count):
    for _ in range(count):
        clock[0] += period_s
        fps = rate.tick()
    return fps


def test_a_rate_is_unknown_until_the_second_frame_and_then_exact(clock):
    rate = Rate()
    assert rate.tick() == 0.0 and rate.period_s is None
    assert ticks(rate, clock, 1 / 30, 1) == pytest.approx(30) and rate.period_s == pytest.approx(1 / 30)


def test_a_rate_follows_within_a_few_seconds_and_a_single_late_frame_hardly_moves_it(clock):
    rate = Rate()
    ticks(rate, clock, 1 / 30, 60)
    assert ticks(rate, clock, 2 / 30, 1) == pytest.approx(28, abs=0.5)
    assert ticks(rate, clock, 1 / 60, 300) == pytest.approx(60, abs=1)
