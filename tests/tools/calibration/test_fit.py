"""The fit: its own derivatives, starts, rejection; checked with SciPy and with lenses that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_boards import EIGHT, DrawnLens, board_points, corner_sets, kannala_brandt, projection_errors
from scipy.optimize import least_squares

from egostream.calibration.kannala_brandt import KannalaBrandtLens
from tools.calibration.fit import Fit, best_fit, derivatives, fit_from, pixels_of, refined, starts_of
from tools.calibration.poses import board_pose, turned
from tools.calibration.reject import fit_robustly
from tools.calibration.views import Found, gathered

LENS = np.array([303.0, 304.0, 640.0, 480.0, 0.03, -0.01, 0.002, -0.0006])
KNOWN = EIGHT[0]


def views_of(sets, points=None):
    points = board_points() if points is None else points
    return gathered([Found(str(number), points, pixels) for number, pixels in enumerate(sets)])


@pytest.fixture(scope="module")
def views():
    return views_of(corner_sets(KNOWN, np.random.default_rng(0)))


def test_pixels_are_our_lens_beyond_90_degrees():
    rng = np.random.default_rng(0)
    theta, phi = np.radians(rng.uniform(0, 105, 500)), rng.uniform(0, 7, 500)
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    rays = np.concatenate([rays * rng.uniform(0.1, 3, (500, 1)), [[0, 0, 1.0]]])
    expected, valid = KannalaBrandtLens(*LENS[:4], tuple(LENS[4:])).project(rays)
    assert valid.all() and np.abs(pixels_of(LENS, rays) - expected).max() < 1e-8


def test_derivatives_equal_differences():
    points = np.array([[0.1, -0.2, 0.3], [0.5, 0.1, -0.05], [-0.3, 0.3, 0.0], [1e-7, 0, 0.4]])
    by_point, by_lens = derivatives(LENS, points)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-6
        slope = (pixels_of(LENS, points + step) - pixels_of(LENS, points - step)) / 2e-6
        assert np.allclose(by_point[..., axis], slope, rtol=1e-4, atol=1e-2)
    for number in range(8):
        step = np.eye(8)[number] * 1e-6
        slope = (pixels_of(LENS + step, points) - pixels_of(LENS - step, points)) / 2e-6
        assert np.allclose(by_lens[..., number], slope, rtol=1e-5, atol=1e-5)


def test_a_pose_comes_from_rays_also_across_and_beyond_90_degrees():
    points = board_points()
    for towards in (0.0, 60.0, 88.0, 105.0):
        rotation = turned(np.array([[0.0, np.radians(towards), 0.0]]))[0] @ turned(np.array([[0.3, -0.4, 1.0]]))[0]
        translation = turned(np.array([[0.0, np.radians(towards), 0.0]]))[0] @ np.array([0.01, 0.02, 0.2])
        rays = points @ rotation.T + translation
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        found = board_pose(points, rays, np.ones(len(points), bool))
        assert np.allclose(found[0], rotation, atol=1e-6) and np.allclose(found[1], translation, atol=1e-6)
    assert board_pose(points, rays, np.arange(len(points)) < 5) is None


def test_every_start_reaches_the_same_lens(views):
    fits = [fit_from(views, *start) for start in starts_of(KNOWN.size)]
    costs = np.array([fit.cost for fit in fits])
    near = costs < costs.min() * 1.001
    assert near.sum() >= 5
    assert np.ptp(np.stack([fit.lens for fit, is_near in zip(fits, near) if is_near])[:, 0]) < 0.01


def test_scipy_finds_no_better_fit(views):
    """SciPy's least squares, from our fit, with plain differences: no less is left over."""
    few = views.of(np.arange(6))
    fit = refined(best_fit(few, starts_of(KNOWN.size)), few)

    def residuals(numbers):
        steps = numbers[8:].reshape(-1, 6)
        moved = Fit(numbers[:8], turned(steps[:, :3]) @ fit.rotations, fit.translations + steps[:, 3:])
        return moved.errors(few).ravel()

    start = np.concatenate([fit.lens, np.zeros(6 * len(few))])
    scipys = least_squares(residuals, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert 2 * scipys.cost > fit.cost * (1 - 1e-6)
    # ... and from a start that is off, SciPy ends where we ended.
    off = least_squares(residuals, start * np.r_[1.01, 0.99, 1.001, 1, np.full(len(start) - 4, 1)], x_scale="jac")
    assert abs(off.x[0] - fit.lens[0]) < 0.05 and abs(2 * off.cost / fit.cost - 1) < 1e-4


def test_corners_beyond_87_degrees_are_kept_and_used():
    wide = replace(KNOWN, limit_deg=110)
    sets = corner_sets(wide, np.random.default_rng(1))
    kept = fit_robustly(views_of(sets), starts_of(wide.size))
    angles = np.degrees(kept.fit.angles(kept.views))
    beyond = angles > 87
    assert beyond.sum() > 40 and kept.corners[beyond].all() and kept.pictures.all()
    assert projection_errors(wide, kept.fit.model, 100).turned[1] < 1


def test_wrong_corners_and_pictures_go_and_pictures_at_the_rim_stay():
    rng = np.random.default_rng(2)
    sets = corner_sets(KNOWN, rng)
    inner = corner_sets(KNOWN, rng, count=18, within_deg=45, towards_deg=40)
    rim = max(sets, key=lambda pixels: np.linalg.norm(pixels - KNOWN.center, axis=-1).max())
    wrong = inner[3][rng.permutation(54)]  # a picture whose corners are mixed up
    inner[5][7] += (9, -14)
    kept = fit_robustly(views_of([*inner, rim, wrong]), starts_of(KNOWN.size))
    assert kept.pictures.tolist() == [True] * 19 + [False]
    assert not kept.corners[5, 7] and kept.corners[:19].sum() == 19 * 54 - 1


@pytest.mark.parametrize("focal", [0.18, 0.3, 0.45, 0.5, 0.85])
def test_no_focal_length_is_missed(focal):
    """One start, at width / pi, refused two sets of eight at 0.45 and 0.5 of the width."""
    lens = DrawnLens("made", focal * 1000, (493.0, 379.0), (1000, 750), kannala_brandt(0.039, 0.039, -0.03, 0.0075), 80)
    for seed in range(2):
        sets = corner_sets(lens, np.random.default_rng(seed), count=12, points=board_points(15, 9))
        kept = fit_robustly(views_of(sets, board_points(15, 9)), starts_of(lens.size))
        assert kept.pictures.all() and abs(kept.fit.lens[0] / lens.focal - 1) < 0.01
