"""What the measuring of predictions is made of."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.publish.prediction import SHARE
from tools.bench_prediction import clips, errors_mm, there_and_back


def test_an_even_movement_is_predicted_but_for_the_part_that_is_left_out():
    """1 m/s, 30 frames a second: 33.3 mm a frame."""
    truth = np.zeros((20, 15, 3))
    truth[..., 0] = np.arange(20)[:, None] / 30
    for steps in (1, 2):
        held, predicted = errors_mm(truth, truth, steps)
        assert held == pytest.approx(steps * 1000 / 30) and predicted == pytest.approx((1 - SHARE) * held, rel=1e-6)


def test_errors_go_on_without_a_jump():
    errors = np.arange(5.0)[:, None, None] * np.ones((5, 15, 3))
    again = there_and_back(errors, 40, 3)[:, 0, 0]
    assert again[:4].tolist() == [3, 4, 3, 2] and set(np.abs(np.diff(again))) == {1}


def test_clips_too_short_are_left_out_and_long_ones_cut(tmp_path):
    rows = 30 + 400
    np.savez(
        tmp_path / "a.npz", positions=np.ones((rows, 22, 3), np.float32), clip_start=np.array([0, 30, rows]),
        head=np.tile([1, 0, 0, 0], (rows, 1)).astype(np.float16),
    )  # fmt: skip
    ((world, head, turns),) = clips(tmp_path)
    assert world.shape == (300, 15, 3) and head.shape == (300, 1, 3) and np.allclose(turns, np.eye(3))
