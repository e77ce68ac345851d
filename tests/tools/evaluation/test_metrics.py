"""Metrics against SciPy and hand-built cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from tools.evaluation.metrics import acceleration_error, align, jitter, joint_errors, mpjpe, pa_mpjpe, pck

RNG = np.random.default_rng(0)


def poses(frames=20):
    return RNG.normal(size=(frames, 15, 3)) * 0.4 + [0.1, 0.4, 0.8]


def moved(truth):
    """Each frame by a rotation, scale and shift of its own."""
    R = Rotation.random(len(truth), random_state=1).as_matrix()
    scale, shift = RNG.uniform(0.5, 2, (len(truth), 1, 1)), RNG.normal(size=(len(truth), 1, 3))
    return scale * np.einsum("fik,fjk->fji", R, truth) + shift


def test_a_known_offset():
    truth = poses()
    assert mpjpe(truth + [0.003, 0.004, 0], truth) == pytest.approx(5.0)
    assert joint_errors(truth + [0, 0, 0.01], truth).shape == (20, 15)


def test_a_moved_body_has_no_aligned_error():
    truth = poses()
    assert mpjpe(moved(truth), truth) > 100
    assert pa_mpjpe(moved(truth), truth) < 1e-9


def test_alignment_is_scipys_procrustes():
    truth = poses()
    estimated = moved(truth + RNG.normal(size=truth.shape) * 0.05)
    for e, t, a in zip(estimated, truth, align(estimated, truth)):
        _, _, disparity = procrustes(t, e)  # may reflect; not with these nearly rigid frames
        centred = t - t.mean(0)
        assert ((a - t) ** 2).sum() / (centred**2).sum() == pytest.approx(disparity, rel=1e-9)
        R, _ = orthogonal_procrustes(e - e.mean(0), centred)
        assert np.linalg.det(R) > 0


def test_a_mirrored_body_is_not_flipped_into_place():
    truth = poses()
    mirrored = truth * [-1, 1, 1]
    aligned = align(mirrored, truth)
    assert pa_mpjpe(mirrored, truth) > 50
    for m, a in zip(mirrored, aligned):  # what was applied is a similarity with a proper rotation
        M, *_ = np.linalg.lstsq(m - m.mean(0), a - a.mean(0), rcond=None)
        assert np.linalg.det(M) > 0


def test_alignment_is_the_best_one():
    """No nearby similarity does better: checked by perturbing the answer."""
    truth = poses(3)
    estimated = truth + RNG.normal(size=truth.shape) * 0.1
    aligned = align(estimated, truth)
    best = ((aligned - truth) ** 2).sum((1, 2))
    for _ in range(50):
        R = Rotation.from_rotvec(RNG.normal(size=3) * 0.02).as_matrix()
        mean = aligned.mean(1, keepdims=True)
        other = (1 + RNG.normal() * 0.02) * (aligned - mean) @ R.T + mean + RNG.normal(size=3) * 0.01
        assert (((other - truth) ** 2).sum((1, 2)) >= best - 1e-12).all()


def test_degenerate_frames_stay_finite():
    truth = poses(2)
    assert np.isfinite(align(np.zeros_like(truth), truth)).all()
    assert np.isfinite(align(truth, np.zeros_like(truth))).all()
    with pytest.raises(ValueError, match="expected two arrays"):
        joint_errors(truth, truth[:, :14])


def test_acceleration_and_jitter_of_known_motion():
    t = np.arange(60)[:, None, None] / 30
    still = np.zeros((60, 15, 3))
    falling = still + 0.5 * 9.81 * t**2 * np.array([0, 0, 1.0])
    assert acceleration_error(falling, still, 30) == pytest.approx(9.81)
    assert jitter(falling, 30) == pytest.approx(0, abs=1e-6)
    assert jitter(still + t**3 * np.array([1.0, 0, 0]), 30) == pytest.approx(6.0)
    assert np.isnan(acceleration_error(still[:2], still[:2], 30)) and np.isnan(jitter(still[:3], 30))


def test_pck():
    truth = np.zeros((2, 15, 2))
    near = truth + [3, 4]
    near[0, 0] = [30, 40]
    assert pck(near, truth, 5) == pytest.approx(29 / 30)
    visible = np.zeros((2, 15), bool)
    visible[0, :2] = True
    assert pck(near, truth, 5, visible) == 0.5
    assert np.isnan(pck(near, truth, 5, visible & False))
