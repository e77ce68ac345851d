"""What is written, warned of and refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from drawn_boards import EIGHT, DrawnLens, board_points, corner_sets, kannala_brandt, projection_errors

from egostream.errors import EgostreamError

SPEC = importlib.util.spec_from_file_location("accuracy", Path(__file__).with_name("accuracy.py"))
assert SPEC and SPEC.loader
accuracy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(accuracy)

#: The lens with which was measured what a board near the axis does to a calibration.
KNOWN = DrawnLens("known", 303.5, (640.0, 480.0), (1280, 960), kannala_brandt(0.03, -0.01, 0.002, -0.0006))


def judged(sets, lens=KNOWN, points=None):
    return accuracy.judged(lens, sets, points)


def drawn(lens=KNOWN, seed=0, **how):
    return corner_sets(lens, np.random.default_rng(seed), **how)


@pytest.mark.parametrize("lens", EIGHT, ids=lambda lens: lens.name)
def test_eight_lenses_are_written_and_right(lens):
    made = judged(drawn(lens), lens)
    errors = projection_errors(lens, made.kept.fit.model, float(np.degrees(made.reach)))
    assert not made.refusals and errors.turned[0] <= 0.3 and errors.turned[1] <= 1.0
    assert 0.2 < made.rms_px < 0.32 and made.held_out_px < 1.3 * made.rms_px


def test_deviations_are_those_of_repeated_calibrations():
    """What eight sets of pictures give spreads as the covariance of one says."""
    made = [judged(drawn(seed=seed)) for seed in range(8)]
    spread = np.std([one.lens for one in made], axis=0)
    said = np.median([one.deviations for one in made], axis=0)
    assert (spread < 3 * said).all() and (spread > said / 4).all()


def test_a_good_set_has_no_warning():
    made = judged(drawn())
    assert not made.refusals and not made.warnings
    assert made.reach > np.radians(85) and made.sigma(np.array([made.rim]))[0] < 1


@pytest.mark.parametrize("within_deg", [30, 45, 60])
def test_a_board_near_the_axis_only_is_refused_with_its_degrees(within_deg):
    for seed in range(2):
        made = judged(drawn(seed=seed, within_deg=within_deg, towards_deg=within_deg))
        off = projection_errors(KNOWN, made.kept.fit.model, 90).plain[1]
        assert made.refusals and f"only {np.degrees(made.reach):.0f} degrees" in made.refusals[0]
        assert made.rms_px < 0.3 and off > 2  # the residual alone would say that all is well


def test_a_board_that_missed_the_rim_is_warned_of():
    made = judged(drawn(within_deg=78, towards_deg=78))
    assert not made.refusals and any("nearer to the picture's edge" in one for one in made.warnings)


def test_frontal_boards_in_the_centre_are_refused():
    made = judged(drawn(towards_deg=8, tilt_deg=3))
    assert made.refusals and any("tilt the board" in one for one in made.refusals)


def test_boards_that_agree_with_no_lens_are_refused():
    """Another part of the board in each picture, as a corner finder gives with a count that is too small."""
    rng, points = np.random.default_rng(0), board_points(6, 8)
    whole = corner_sets(KNOWN, rng, points=points)
    mixed = []
    for pixels in whole:
        grid = pixels.reshape(8, 6, 2)
        rows = np.sort(rng.choice(8, 6, replace=False))
        columns = np.sort(rng.choice(6, 4, replace=False))
        mixed.append(grid[rows][:, columns].reshape(-1, 2))
    made = judged(mixed, points=board_points(4, 6))
    assert made.is_wrong_board and len(made.refusals) == 1
    assert "the board is not the one" in made.refusals[0] or "agree with one lens" in made.refusals[0]


def test_focals_that_square_pixels_do_not_have_are_refused_unless_said():
    stretched = [pixels * (1.2, 1.0) for pixels in drawn()]
    lens = DrawnLens("stretched", 303.5, (768.0, 480.0), (1536, 960), KNOWN.radius)
    views = accuracy.gathered([accuracy.Found(str(n), board_points(), p) for n, p in enumerate(stretched)])
    kept = accuracy.fit_robustly(views, accuracy.starts_of(lens.size))
    refused = accuracy.judge(kept, lens.size)
    assert any("fx / fy is 1.200" in one and "--aspect" in one for one in refused.refusals)
    assert not accuracy.judge(kept, lens.size, aspect=1.2).refusals


def test_too_few_pictures_are_refused():
    made = judged(drawn(count=6))
    assert made.refusals == ["only 6 of 6 pictures agree with one lens, 8 are needed"]


NOISE = np.random.default_rng(0)
BROKEN = {
    "one picture twelve times": [drawn(count=1)[0]] * 12,
    "corners anywhere": [NOISE.uniform(0, 900, (54, 2)) for _ in range(8)],
    "all corners in one pixel": [np.full((54, 2), 300.0)] * 8,
    "all corners in a line": [np.stack([np.linspace(0, 900, 54), np.linspace(0, 500, 54)], -1)] * 8,
    "corners mixed up in half of the pictures": [
        pixels[NOISE.permutation(54)] if number % 2 else pixels for number, pixels in enumerate(drawn(count=20))
    ],
    "boards without perspective": [board_points()[:, :2] * 4000 + NOISE.uniform(0, 400, 2) for _ in range(8)],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_of_a_board_is_refused(name):
    try:
        assert judged(BROKEN[name]).refusals
    except EgostreamError as error:
        assert "no lens fits" in str(error)
