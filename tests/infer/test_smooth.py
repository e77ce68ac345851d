"""The One Euro filter: against its published formula, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.config import PRESETS, RunConfig, filter_name
from egostream.infer.smooth import OneEuroFilter, make_filter

SURE = np.ones(15)


def published(values, times, cutoff, beta):
    """Casiez et al. 2012 for one scalar, written out independently: its derivative is of the last filtered value."""
    alpha = lambda cutoff, dt: 1.0 / (1.0 + (1.0 / (2 * np.pi * cutoff)) / dt)
    out, slope = [values[0]], 0.0
    for before, now, value in zip(times, times[1:], values[1:]):
        dt = now - before
        slope = alpha(1.0, dt) * (value - out[-1]) / dt + (1 - alpha(1.0, dt)) * slope
        a = alpha(cutoff + beta * abs(slope), dt)
        out.append(a * value + (1 - a) * out[-1])
    return np.array(out)


def test_it_is_the_published_filter_for_a_joint_that_is_sure():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.005, 0.06, 200))
    values = np.sin(3 * times) + 0.05 * rng.standard_normal(200)
    smooth = OneEuroFilter(4.0, 6.0)
    joints = np.zeros((200, 15, 3))
    joints[:, :, 1] = values[:, None]  # moves along one axis: its speed is the scalar's
    found = np.stack([smooth(round(t * 1e9), frame, SURE) for t, frame in zip(times, joints)])
    np.testing.assert_allclose(found[:, 4, 1], published(values, times, 4.0, 6.0), atol=1e-6)
    assert np.abs(found[:, :, [0, 2]]).max() == 0


@pytest.mark.parametrize("fps", [15, 30, 90])
def test_it_steadies_a_resting_joint_and_follows_a_moving_one(fps):
    rng, t = np.random.default_rng(1), np.arange(4 * fps) / fps
    noise = 0.02 * rng.standard_normal((len(t), 15, 3))

    def run(truth):
        smooth = OneEuroFilter(4.0, 6.0)
        return np.stack([smooth(round(1e9 * s) + 1, x, SURE) for s, x in zip(t, truth + noise)]) - truth

    rest = run(np.zeros((len(t), 15, 3)))[fps:]
    assert rest.std() < 0.85 * noise[fps:].std()
    moving = run(np.broadcast_to(np.stack([2.0 * t, 0 * t, 0 * t], -1)[:, None], noise.shape))[fps:]
    assert np.abs(moving.mean((0, 1))[0]) < 0.04  # at 2 m/s it lags by less than 20 ms


def test_unsure_joints_are_held_more():
    smooth, confidence = OneEuroFilter(4.0, 6.0), np.where(np.arange(15) < 7, 1.0, 0.2)
    smooth(1, np.zeros((15, 3)), confidence)
    moved = smooth(1 + 33_000_000, np.full((15, 3), 0.1, np.float32), confidence)
    assert (moved[:7] > 1.5 * moved[7:].max()).all() and (moved[7:] > 0).all()


def test_it_forgets_on_reset_and_when_time_runs_back():
    smooth, first, second = OneEuroFilter(1.0, 0.0), np.zeros((15, 3)), np.ones((15, 3))
    smooth(10**9, first, SURE)
    assert (smooth(2 * 10**9, second, SURE) < 1).all()
    smooth.reset()
    assert (smooth(3 * 10**9, second, SURE) == 1).all()
    assert (smooth(10**9, first, SURE) == 0).all()


def test_presets_choose_it_unless_it_is_named():
    for name, preset in PRESETS.items():
        assert filter_name(RunConfig(preset=name)) == preset.filter
        assert (make_filter(RunConfig(preset=name)) is None) == (preset.filter == "off")
        assert make_filter(RunConfig(preset=name, filter="off")) is None
        assert make_filter(RunConfig(preset=name, filter="one-euro", filter_beta=1.0)).beta == 1.0
