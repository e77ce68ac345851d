"""Where the network's input lies in a camera's picture, and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.view import CameraView, InputGeometry, InputMapping
from egostream.errors import EgostreamError

CROP = InputGeometry("canonical", "crop")
OTHER = Calibration("other", (1600, 1200), KannalaBrandtLens(355.0, 355.0, 803.0, 590.0, (0.03, -0.01, 0.002, -0.0003)))


@pytest.mark.parametrize("camera", [canonical_calibration(), OTHER], ids=["canonical", "other"])
def test_keypoints_return_to_the_cameras_own_pixels(camera):
    view = CameraView(CROP, camera)
    points = np.array([[0, 0, 1.0], [0.4, 0.3, 1], [-0.5, 0.8, 0.6]])
    uv, _ = camera.lens.project(points)
    canonical_uv, _ = view.canonical.lens.project(points)
    found, valid = view.keypoints_in_camera(view.mapping.heatmap_from_canonical(canonical_uv))
    assert valid.all()
    np.testing.assert_allclose(found, uv, atol=0.02)


def test_input_mappings_are_the_published_ones():
    """u -> (u - 128) / 4 for the crop and u * 256 / 1280 for the squash, at 64 bins for heatmaps."""
    crop, squash = InputMapping("crop", (1280, 1024)), InputMapping("squash", (1280, 1024))
    np.testing.assert_allclose(
        crop.heatmap_from_canonical([[641.664, 893.880]]), [[(641.664 - 128) / 16, 893.880 / 16]]
    )
    np.testing.assert_allclose(
        squash.heatmap_from_canonical([[641.664, 893.880]]), [[641.664 * 64 / 1280, 893.880 * 64 / 1024]]
    )
    np.testing.assert_allclose(crop.canonical_from_heatmap(crop.heatmap_from_canonical([[5.0, 7.0]])), [[5.0, 7.0]])
    with pytest.raises(EgostreamError, match="unknown input mapping 'zoom'"):
        InputMapping("zoom", (1280, 1024))


def test_keypoints_beside_the_picture_are_not_seen():
    """A wide lens over a small sensor: the lens's formula reaches on, the picture does not."""
    lens = KannalaBrandtLens(407.0, 407.0, 639.5, 359.5, (0.03, -0.01, 0.002, -0.0003))
    view = CameraView(CROP, Calibration("wide", (1280, 720), lens))
    y, x = np.mgrid[:64, :64]
    cells = np.stack([x, y], -1).reshape(-1, 2).astype(float)
    pixels, seen = view.keypoints_in_camera(cells)
    rays, _ = canonical_calibration().lens.unproject(view.mapping.canonical_from_heatmap(cells))
    K = np.array([[407.0, 0, 639.5], [0, 407.0, 359.5], [0, 0, 1]])
    ahead = rays[:, 2] > 0.1  # OpenCV's formula is for these
    expected, _ = cv2.fisheye.projectPoints(
        rays[ahead, None] / rays[ahead, None, 2:], np.zeros(3), np.zeros(3), K, np.array([0.03, -0.01, 0.002, -0.0003])
    )
    inside = ((expected[:, 0] >= -0.5) & (expected[:, 0] < (1279.5, 719.5))).all(-1)
    np.testing.assert_array_equal(seen[ahead], inside)
    assert 0.1 < seen.mean() < 0.9 and (pixels[seen] > -1).all() and (pixels[seen] < (1280, 720)).all()
