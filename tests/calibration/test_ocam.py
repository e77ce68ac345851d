"""The canonical lens against published figures."""

from __future__ import annotations

import numpy as np

from egostream.calibration.file import canonical_calibration


def test_canonical_radii():
    """Radii of the SceneEgo lens as measured from its calibration file, independently."""
    lens = canonical_calibration().lens
    theta = np.radians([5, 15, 30, 45, 60, 75, 85, 90, 95])
    pixels, valid = lens.project(np.stack([np.sin(theta), 0 * theta, np.cos(theta)], -1))
    assert valid.all()
    expected = [25.521, 76.630, 153.596, 231.120, 309.825, 391.296, 448.576, 478.589, 509.810]
    np.testing.assert_allclose(pixels[:, 0] - lens.cx, expected, atol=1e-3)
    np.testing.assert_allclose(pixels[:, 1], lens.cy, atol=1e-9)


def test_canonical_projection_of_a_real_pose():
    """Three joints of a real SceneEgo pose, projected by the dataset's own code."""
    points = [
        [0.02589113, 0.35482132, 0.12483309],
        [0.30361623, 0.4991027, 0.66687554],
        [0.21608864, 1.1341499, 1.2978636],
    ]
    pixels, valid = canonical_calibration().lens.project(points)
    assert valid.all()
    np.testing.assert_allclose(
        pixels, [[641.6642067, 893.8800639], [724.8543735, 708.2314149], [654.9411836, 737.5234705]], atol=1e-4
    )
