"""Rectification: where a point of the world lands in the network's input, and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.view import CameraView, InputGeometry, InputMapping
from egostream.capture.decode import BadFrame, WrongSize, decode
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


@pytest.mark.parametrize("camera", [canonical_calibration(), OTHER], ids=["canonical", "other"])
def test_keypoints_return_to_the_cameras_own_pixels(camera):
    rectifier = Rectifier(CameraView(CROP, camera))
    points = np.array([[0, 0, 1.0], [0.4, 0.3, 1], [-0.5, 0.8, 0.6]])
    uv, _ = camera.lens.project(points)
    canonical_uv, _ = rectifier.view.canonical.lens.project(points)
    found, valid = rectifier.view.keypoints_in_camera(rectifier.view.mapping.heatmap_from_canonical(canonical_uv))
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


def test_jpeg_and_pixels_rectify_alike():
    frame = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (1024, 1280, 3), np.uint8), (0, 0), 8)
    rectifier = Rectifier(CameraView(CROP))
    encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].reshape(-1)
    difference = rectifier.rectify(reduced(encoded, rectifier)).astype(int) - rectifier.rectify(
        reduced(frame, rectifier)
    ).astype(int)
    assert np.abs(difference).max() <= 4


def test_png_and_jpeg_of_an_odd_size_reduce_alike():
    odd = Calibration("odd", (1281, 1023), canonical_calibration().lens)
    rectifier = Rectifier(CameraView(CROP, odd))
    frame = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (1023, 1281, 3), np.uint8), (0, 0), 12)
    images = [
        rectifier.rectify(
            reduced(cv2.imencode(suffix, frame, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].reshape(-1), rectifier)
        )
        for suffix in (".jpg", ".png")
    ]
    assert np.abs(images[0].astype(int) - images[1].astype(int)).mean() < 1


def test_damaged_images_are_bad_frames():
    rectifier = Rectifier(CameraView(CROP))
    png = bytearray(cv2.imencode(".png", np.zeros((1024, 1280, 3), np.uint8))[1].tobytes())
    png[16:24] = b"\x7f\xff\xff\xff\x7f\xff\xff\xff"  # a header that asks for more memory than there is
    for data in (b"", b"\xff\xd8\xff", b"GIF89a", bytes(png)):
        with pytest.raises(BadFrame, match="the image is broken"):
            reduced(np.frombuffer(data, np.uint8), rectifier)


def test_outside_the_lens_is_black():
    narrow = Calibration("narrow", (640, 480), PinholeLens(400.0, 400.0, 320.0, 240.0))
    rectifier = Rectifier(CameraView(CROP, narrow))
    image = rectifier.rectify(reduced(np.full((480, 640, 3), 200, np.uint8), rectifier))
    assert image[128, 128].min() > 190 and image[5, 5].max() == 0 and image[250, 128].max() == 0


def test_frames_of_another_size_are_refused():
    rectifier = Rectifier(CameraView(CROP))
    with pytest.raises(WrongSize, match="it is 1024x1024, calibration canonical is for 1280x1024"):
        decode(CameraFrame(0, 0, 0, np.zeros((1024, 1024, 3), np.uint8)), rectifier)
    encoded = cv2.imencode(".jpg", np.zeros((512, 640, 3), np.uint8))[1].reshape(-1)
    with pytest.raises(WrongSize, match="it is 640x512"):
        decode(CameraFrame(0, 0, 0, encoded), rectifier)


def test_a_lens_that_sees_nothing_of_the_view_is_refused():
    telephoto = Calibration("tele", (640, 480), PinholeLens(9000.0, 9000.0, 320.0, 240.0))
    with pytest.raises(EgostreamError, match="covers only 0%"):
        Rectifier(CameraView(CROP, telephoto))


def test_keypoints_beside_the_picture_are_not_seen():
    """A wide lens over a small sensor: the lens's formula reaches on, the picture does not."""
    lens = KannalaBrandtLens(407.0, 407.0, 639.5, 359.5, (0.03, -0.01, 0.002, -0.0003))
    rectifier = Rectifier(CameraView(CROP, Calibration("wide", (1280, 720), lens)))
    y, x = np.mgrid[:64, :64]
    cells = np.stack([x, y], -1).reshape(-1, 2).astype(float)
    pixels, seen = rectifier.view.keypoints_in_camera(cells)
    rays, _ = canonical_calibration().lens.unproject(rectifier.view.mapping.canonical_from_heatmap(cells))
    K = np.array([[407.0, 0, 639.5], [0, 407.0, 359.5], [0, 0, 1]])
    ahead = rays[:, 2] > 0.1  # OpenCV's formula is for these
    expected, _ = cv2.fisheye.projectPoints(
        rays[ahead, None] / rays[ahead, None, 2:], np.zeros(3), np.zeros(3), K, np.array([0.03, -0.01, 0.002, -0.0003])
    )
    inside = ((expected[:, 0] >= -0.5) & (expected[:, 0] < (1279.5, 719.5))).all(-1)
    np.testing.assert_array_equal(seen[ahead], inside)
    assert 0.1 < seen.mean() < 0.9 and (pixels[seen] > -1).all() and (pixels[seen] < (1280, 720)).all()
