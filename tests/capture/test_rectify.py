"""Rectification: where a point of the world lands in the network's input, and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.decode import decode
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.types import CameraFrame

CROP, SQUASH = InputGeometry("canonical", "crop"), InputGeometry("canonical", "squash")
OTHER = Calibration("other", (1600, 1200), KannalaBrandtLens(355.0, 355.0, 803.0, 590.0, (0.03, -0.01, 0.002, -0.0003)))


def blob(size, uv, radius):
    """A white Gaussian spot at a pixel of a black frame."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    spot = 255 * np.exp(-((x - uv[0]) ** 2 + (y - uv[1]) ** 2) / (2 * radius**2))
    return np.repeat(spot[..., None], 3, -1).astype(np.uint8)


def centroid(image):
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def reduced(frame, rectifier):
    return decode(CameraFrame(0, 0, 0, frame), rectifier)


def test_canonical_crop_is_a_plain_resize():
    """The canonical camera's own frames: cutting 128 columns and averaging 4x4 pixels, nothing else."""
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 256, (1024, 1280, 3), np.uint8), (0, 0), 6)
    rectifier = Rectifier(CameraView(CROP))
    assert rectifier.reduction == 4
    expected = cv2.resize(frame[:, 128:1152], (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1]
    np.testing.assert_allclose(rectifier.rectify(reduced(frame, rectifier)).astype(int), expected.astype(int), atol=1)


def test_canonical_squash_is_a_plain_resize():
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 256, (1024, 1280, 3), np.uint8), (0, 0), 12)
    rectifier = Rectifier(CameraView(SQUASH))
    expected = cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert np.abs(rectifier.rectify(reduced(frame, rectifier)).astype(int) - expected.astype(int)).mean() < 1.0


@pytest.mark.parametrize("geometry", [CROP, SQUASH], ids=["crop", "squash"])
@pytest.mark.parametrize("camera", [canonical_calibration(), OTHER], ids=["canonical", "other"])
def test_a_point_lands_where_the_canonical_lens_puts_it(camera, geometry):
    """A spot drawn by one lens, rectified, is where the other lens would have seen the same direction."""
    rectifier = Rectifier(CameraView(geometry, camera))
    for direction in ([0, 0, 1], [0.5, 0.2, 1], [-0.9, 0.5, 0.8], [0.3, 0.9, 0.5], [0.1, -1, 0.4]):
        uv, _ = camera.lens.project(np.array(direction, float))
        image = rectifier.rectify(reduced(blob(camera.size, uv, 14), rectifier))
        canonical_uv, _ = rectifier.view.canonical.lens.project(np.array(direction, float))
        mapping = rectifier.view.mapping
        expected = (canonical_uv + 0.5 - mapping.offset) * 256 / mapping.extent - 0.5
        assert np.abs(centroid(image) - expected).max() < 0.5, direction


def test_outside_the_lens_is_black():
    narrow = Calibration("narrow", (640, 480), PinholeLens(400.0, 400.0, 320.0, 240.0))
    rectifier = Rectifier(CameraView(CROP, narrow))
    image = rectifier.rectify(reduced(np.full((480, 640, 3), 200, np.uint8), rectifier))
    assert image[128, 128].min() > 190 and image[5, 5].max() == 0 and image[250, 128].max() == 0


def test_a_lens_that_sees_nothing_of_the_view_is_refused():
    telephoto = Calibration("tele", (640, 480), PinholeLens(9000.0, 9000.0, 320.0, 240.0))
    with pytest.raises(EgostreamError, match="covers only 0%"):
        Rectifier(CameraView(CROP, telephoto))
