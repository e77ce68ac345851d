"""What every lens model promises: one template of tests for all. A new model joins by a line in ``lenses.LENSES``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lenses import LENSES, SIZE, angle, direction_grid, directions, elsewhere

#: A pinhole without distortion sees along every pixel; all others end somewhere.
BOUNDED = [one for one in LENSES if one[1].max_theta != np.pi / 2]
NAMES = [name for name, _, _ in LENSES]
of_all_lenses = pytest.mark.parametrize(("lens", "reach"), [(lens, reach) for _, lens, reach in LENSES], ids=NAMES)


@of_all_lenses
def test_round_trip(lens, reach):
    points = directions(reach)
    pixels, valid = lens.project(points)
    assert valid.all()
    rays, seen = lens.unproject(pixels)
    assert seen.all()
    assert angle(points, rays).max() < 1e-3
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)


@of_all_lenses
def test_round_trip_on_a_grid(lens, reach):
    rays = direction_grid(reach)
    pixels, valid = lens.project(rays)
    back, seen = lens.unproject(pixels)
    assert valid.all() and seen.all() and pixels.shape == (24, 36, 2) and back.shape == rays.shape
    assert angle(rays, back).max() < 1e-3
    again, _ = lens.project(back)
    np.testing.assert_allclose(again, pixels, atol=0.02)


@pytest.mark.parametrize("lens", [lens for _, lens, _ in BOUNDED], ids=[name for name, _, _ in BOUNDED])
def test_outside_the_domain_is_said_and_never_nan(lens):
    points = [[0, 0, 1], [0, 0, -1], [0, 0, 0], [1e-12, 0, 1], [np.nan, 0, 1], [np.inf, 0, 1], [1, 0, -1]]
    pixels, valid = lens.project(points)
    assert np.isfinite(pixels).all()
    assert valid.tolist()[:5] == [True, False, False, True, False]
    np.testing.assert_allclose(pixels[0], [lens.cx, lens.cy], atol=1e-9)
    rays, seen = lens.unproject([[lens.cx, lens.cy], [1e7, 1e7], [np.nan, 0], [-1e5, 3]])
    assert np.isfinite(rays).all()
    assert seen.tolist() == [True, False, False, False]
    assert angle(rays[0], np.array([0, 0, 1.0])) < 0.01


@of_all_lenses
def test_numbers_are_finite_everywhere(lens, reach):
    x = np.array([-1e6, -1.0, -1e-9, 0.0, 1e-9, 1.0, 1e6])
    points = np.stack(np.meshgrid(x, x, x), -1)
    u = np.array([-1e9, -1e4, -0.5, 0.0, 511.5, 1279.5, 1e4, 1e9])
    pixels = np.stack(np.meshgrid(u, u), -1)
    for values, valid in (lens.project(points), lens.unproject(pixels)):
        assert np.isfinite(values).all() and valid.dtype == bool and valid.shape == values.shape[:-1]
    np.testing.assert_allclose(np.linalg.norm(lens.unproject(pixels)[0], axis=-1), 1)


@of_all_lenses
def test_it_sees_up_to_its_largest_angle_and_no_further(lens, reach):
    assert np.degrees(lens.max_theta) >= reach
    for theta, expected in ((lens.max_theta - 1e-6, True), (lens.max_theta + 1e-6, False)):
        assert bool(lens.project(np.array([np.sin(theta), 0, np.cos(theta)]))[1]) is expected


@of_all_lenses
def test_it_is_as_symmetric_as_it_says(lens, reach):
    """Turned directions lie where the turned picture shows them, for a symmetric lens and for no other."""
    rays = direction_grid(reach)
    turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]]) @ np.diag([-1.0, 1.0])
    turned = np.concatenate([rays[..., :2] @ turn, rays[..., 2:]], -1)
    offset, expected = ((lens.project(these)[0] - (lens.cx, lens.cy)) / lens.focal for these in (rays, turned))
    error = np.abs((offset @ turn - expected) * lens.focal).max()
    assert (error < 1e-6) == lens.is_symmetric, f"{error} pixels"


@of_all_lenses
def test_a_sound_lens_has_no_problem_and_one_beside_its_picture_has(lens, reach):
    assert lens.problem(SIZE) == ""
    assert "lies outside the 320x240 image" in lens.problem((320, 240))


@of_all_lenses
def test_lenses_are_compared_by_their_numbers(lens, reach):
    assert sum(lens == other for _, other, _ in LENSES) == 1
    assert replace(lens) == lens and hash(replace(lens)) == hash(lens) and elsewhere(lens) != lens
