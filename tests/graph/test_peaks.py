"""Sub-pixel keypoints from heatmaps."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.graph.peaks import heatmap_peaks


def gaussian(x, y, sigma=2.0, size=64):
    gx, gy = np.meshgrid(np.arange(size), np.arange(size))
    return np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (2 * sigma**2)).astype(np.float32)


@pytest.mark.parametrize("background", [0.0, 0.2])
def test_sub_pixel_position_of_a_gaussian(background):
    rng = np.random.default_rng(0)
    centres = rng.uniform(5, 58, (15, 2))
    peaks, values = heatmap_peaks(np.stack([background + (1 - background) * gaussian(*c) for c in centres]))
    assert np.abs(peaks - centres).max() < 0.25  # a 5x5 neighbourhood of sigma 2, 4 camera pixels on a 1024 px frame
    rounded = np.abs(np.round(centres) - centres).max()
    assert np.abs(peaks - centres).max() < 0.6 * rounded  # better than the bare maximum
    assert (values > 0.9).all()


def test_borders_corners_and_flat_maps_stay_inside():
    maps = np.stack(
        [
            gaussian(0, 0),
            gaussian(63, 63),
            gaussian(0, 63),
            np.zeros((64, 64), np.float32),
            np.full((64, 64), 0.5, np.float32),
        ]
    )
    peaks, values = heatmap_peaks(maps)
    assert np.isfinite(peaks).all() and (peaks >= 0).all() and (peaks <= 63).all()
    assert np.abs(peaks[:3] - [[0, 0], [63, 63], [0, 63]]).max() < 1
    assert values.tolist()[3:] == [0.0, 0.5]


def test_the_highest_of_two_peaks_wins():
    peaks, _ = heatmap_peaks((gaussian(10, 20) * 0.8 + gaussian(50, 40))[None])
    np.testing.assert_allclose(peaks[0], [50, 40], atol=0.05)
