"""The noise model: what it draws is what its numbers say, and fitting finds them again."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.errors import EgostreamError
from tools.training.motion.noise import (
    CLASSES,
    LEGS,
    LEVELS,
    PULLED,
    Lasting,
    features,
    into_picture,
    load_noise,
    save_noise,
    suggest,
)
from tools.training.motion.noise_fit import fit_noise
from tools.training.motion.options import NOISE_FILE
from tools.training.motion.seen import Seen


@pytest.fixture(scope="module")
def model():
    """The shipped numbers."""
    return load_noise(NOISE_FILE)


def people(count: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """True keypoints [B, L, 15, 2] that wander about the picture's middle, and distances [B, L, 15]."""
    rng = np.random.default_rng(4)
    start, drift = rng.normal(640, 120, (count, 1, 15, 2)), rng.normal(0, 2, (count, frames, 15, 2)).cumsum(1)
    return (start + drift).astype(np.float32), np.full((count, frames, 15), 0.8, np.float32)


def test_errors_have_the_radii_of_their_tables(model):
    rng, group = np.random.default_rng(0), np.full((300, 20, 15), 3)
    size = np.linalg.norm(model.errors(rng, group), axis=-1)
    for j in (0, 8, 14):
        for level, radius in list(zip(LEVELS, model.radius[j][3]))[2:5]:  # a person's errors may be larger or smaller
            assert np.quantile(size[..., j], level) == pytest.approx(radius, rel=0.2)


def test_noise_lasts_as_its_shares_say():
    process = Lasting((0.3, 0.5, 0.2), np.eye(15).tolist())
    drawn = process.draw(np.random.default_rng(0), 600, 30, 1)[..., 0]
    correlation = lambda lag: (drawn[:, :-lag] * drawn[:, lag:]).mean() / (drawn**2).mean()
    assert correlation(1) == pytest.approx(0.3 + 0.5 * 0.8, abs=0.03)
    assert correlation(20) == pytest.approx(0.3, abs=0.04)


def test_joints_err_together_as_the_matrix_says():
    together = np.eye(15)
    together[3, 4] = together[4, 3] = 0.8
    drawn = Lasting((0.0, 0.0, 1.0), together.tolist()).draw(np.random.default_rng(0), 400, 20, 1)[..., 0]
    found = np.corrcoef(drawn.reshape(-1, 15).T)
    assert found[3, 4] == pytest.approx(0.8, abs=0.03) and abs(found[3, 5]) < 0.05


def test_low_confidence_means_large_errors_and_keypoints_stay_in_the_picture(model):
    true, distance = people(200, 10)
    noisy, confidence = model(np.random.default_rng(1), true, distance)
    error = np.linalg.norm(noisy - into_picture(true)[0], axis=-1)
    group = np.digitize(confidence, CLASSES)
    medians = [np.median(error[group == k]) for k in range(len(CLASSES) + 1)]
    assert medians == sorted(medians, reverse=True) and medians[0] > 4 * medians[-1]
    assert noisy.min() >= 0 and noisy[..., 0].max() < 1152 and noisy[..., 1].max() < 1024


def test_fitting_finds_the_numbers_that_errors_were_drawn_with(model):
    """Recordings that the model itself made: fitted, they give a model alike."""
    true, distance = people(90, 40)
    noisy, confidence = model(np.random.default_rng(2), true, distance)
    joints = np.zeros((*distance.shape, 3), np.float32)
    joints[..., 2] = distance
    fitted = fit_noise([Seen(*one) for one in zip(noisy, confidence, true, joints)], true, "itself")
    place, _ = into_picture(true)
    np.testing.assert_allclose(fitted.radius[8][4][3], model.radius[8][4][3], rtol=0.35)
    assert fitted.confidence_process.shares[2] == pytest.approx(model.confidence_process.shares[2], abs=0.15)
    assert sum(fitted.error_process.shares) == pytest.approx(1)
    logits = [
        np.einsum("bljf,jf->blj", features(place, 0 * distance, distance), np.array(m.confidence))
        for m in (fitted, model)
    ]
    assert abs(np.median(logits[0] - logits[1])) < 0.3
    assert fitted.pull[0] > fitted.pull[-1] - 0.05  # unsure legs lie towards where legs usually are


def test_suggestions_are_of_the_joints_that_may_be_pulled(model):
    place, _ = into_picture(people(2, 3)[0])
    assert suggest(model.suggestion, place).shape == (2, 3, len(PULLED), 2) and set(LEGS) < set(PULLED)


def test_a_file_keeps_a_model_and_what_is_none_is_named(tmp_path, model):
    save_noise(tmp_path / "noise.json", model)
    assert load_noise(tmp_path / "noise.json") == model
    (tmp_path / "noise.json").write_text("{}")
    with pytest.raises(EgostreamError, match="noise.json is no noise model"):
        load_noise(tmp_path / "noise.json")
