"""Errors of hand-built poses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluation_samples import (
    MAPPING,
    compared,
    predicted,
    recording,
    replace_joints,
)

from egostream.errors import EgostreamError
from egostream.skeleton import JOINTS
from tools.evaluation.compare import consecutive, score
from tools.evaluation.report import without_nan


def test_a_known_offset_is_the_error_of_every_figure_but_the_aligned_one():
    sequence = recording()
    result = score([compared(sequence, predicted(sequence, (0.03, 0, 0.04)))])
    assert result["frames"] == 8
    assert result["mpjpe_mm"] == pytest.approx(50)
    assert result["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-6)
    assert result["acceleration_error_m_s2"] == pytest.approx(0, abs=1e-9)
    assert result["jitter_m_s3"] == pytest.approx(result["true_jitter_m_s3"]) and result["jitter_m_s3"] > 0
    assert result["pck"] == {"0.05": 1.0, "0.10": 1.0}


def test_a_mirrored_pose_keeps_its_error():
    sequence = recording()
    mirrored = replace_joints(predicted(sequence), sequence.joints * np.float32([-1, 1, 1]))
    assert score([compared(sequence, mirrored)])["pa_mpjpe_mm"] > 50


def test_per_joint_and_per_visibility():
    visible = np.ones((8, 15), bool)
    visible[:, 3] = False  # right wrist always hidden, and 60 mm off; the others 10 mm
    sequence = recording(visible=visible)
    offset = np.tile([0.01, 0, 0], (8, 15, 1))
    offset[:, 3] = [0, 0.06, 0]
    result = score([compared(sequence, predicted(sequence, offset))])
    assert result["per_joint"]["right_wrist"]["mpjpe_mm"] == pytest.approx(60)
    assert result["per_joint"]["neck"]["mpjpe_mm"] == pytest.approx(10)
    assert list(result["per_joint"]) == list(JOINTS)
    assert (result["visible"]["joints"], result["hidden"]["joints"]) == (8 * 14, 8)
    assert result["visible"]["mpjpe_mm"] == pytest.approx(10) and result["hidden"]["mpjpe_mm"] == pytest.approx(60)
    assert result["mpjpe_mm"] == pytest.approx((14 * 10 + 60) / 15)
    assert result["keypoints"] == 8 * 14, "hidden keypoints do not count"


def test_without_visibility_the_split_is_empty_and_keypoints_in_view_count():
    sequence = recording()
    heatmap_xy = np.full((8, 15, 2), 32.0)
    heatmap_xy[:, 0] = [64.0, 10]  # the first column outside
    heatmap_xy[:, 1] = [0, 63.99]
    heatmap_xy[:, 2] = np.nan
    result = score([compared(sequence, predicted(sequence), heatmap_xy)])
    assert (result["visible"]["joints"], result["hidden"]["joints"]) == (0, 0)
    assert np.isnan(result["visible"]["mpjpe_mm"]) and without_nan(result)["visible"]["mpjpe_mm"] is None
    assert result["keypoints"] == 8 * 13
    assert json.dumps(without_nan(result), allow_nan=False)


def test_pck_thresholds_are_shares_of_the_width_that_the_network_sees():
    """The crop of the canonical frame is 1024 px wide: 5% is 51.2 px, 10% is 102.4 px."""
    sequence = recording(F=1)
    at = np.tile(MAPPING.canonical_from_heatmap([32.0, 32.0]), (1, 15, 1))
    away = np.array([0, 51.19, 51.21, 102.39, 102.41] * 3)
    result = score([compared(sequence, predicted(sequence, keypoints=at + np.stack([away, 0 * away], -1)))])
    assert result["pck"] == {"0.05": pytest.approx(6 / 15), "0.10": pytest.approx(12 / 15)}
    assert result["per_joint_pck"]["right_elbow"] == {"0.05": 0.0, "0.10": 1.0}


def test_frames_are_pooled_so_a_long_recording_counts_for_more():
    short, long = recording(F=2), recording(F=6)
    parts = [compared(short, predicted(short, (0.08, 0, 0))), compared(long, predicted(long))]
    assert score(parts)["mpjpe_mm"] == pytest.approx(20)


def test_no_acceleration_is_taken_across_a_missing_frame():
    """Steady motion with a hole: over the hole it would look like a jerk."""
    frames = np.array([0, 2, 4, 6, 8, 20, 22, 24, 26])
    joints = (np.zeros((9, 15, 3)) + frames[:, None, None] * 0.01).astype(np.float32)
    sequence = recording(9, "gap", joints=joints, frames=frames)
    assert consecutive(frames) == (2, [slice(0, 5), slice(5, 9)])
    still = replace_joints(predicted(sequence), np.zeros((9, 15, 3)))
    result = score([compared(sequence, still)])
    assert result["acceleration_error_m_s2"] == pytest.approx(0, abs=1e-3)
    falling = sequence.joints + (0.5 * 9.81 * (frames / 30.0) ** 2)[:, None, None] * [0, 0, 1]
    assert score([compared(sequence, replace_joints(still, falling))])["acceleration_error_m_s2"] == pytest.approx(
        9.81, rel=1e-3
    )
    every_second_and_one_odd = np.array([0, 2, 4, 5, 7, 9])
    assert consecutive(every_second_and_one_odd) == (2, [slice(0, 3), slice(3, 6)])
    assert consecutive(np.array([5])) == (1, [slice(0, 1)])


def test_a_pose_that_is_not_finite_is_an_error_not_a_figure():
    sequence = recording()
    prediction = predicted(sequence)
    prediction.joints[3, 2] = np.nan
    with pytest.raises(EgostreamError, match="one: 1 of 8 poses are not finite"):
        compared(sequence, prediction)
