"""Decoding: JPEG, PNG and pixels come out alike, at the rectifier's reduced size or not at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.mount import Mount
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.decode import BadFrame, WrongSize, decode
from egostream.capture.rectify import Rectifier
from egostream.types import CameraFrame

CROP = InputGeometry("canonical", "crop")


def reduced(frame, rectifier):
    return decode(CameraFrame(0, 0, 0, frame), rectifier)


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


def test_frames_of_another_size_are_refused():
    rectifier = Rectifier(CameraView(CROP))
    with pytest.raises(WrongSize, match="it is 1024x1024, calibration canonical is for 1280x1024"):
        decode(CameraFrame(0, 0, 0, np.zeros((1024, 1024, 3), np.uint8)), rectifier)
    encoded = cv2.imencode(".jpg", np.zeros((512, 640, 3), np.uint8))[1].reshape(-1)
    with pytest.raises(WrongSize, match="it is 640x512"):
        decode(CameraFrame(0, 0, 0, encoded), rectifier)


def test_a_frame_on_its_side_is_told_how_to_turn_it():
    with pytest.raises(WrongSize, match="it is 1024x1280, .* turn it: --rotate 90, 270 or none"):
        decode(CameraFrame(0, 0, 0, np.zeros((1280, 1024, 3), np.uint8)), Rectifier(CameraView(CROP)))
    turned = Rectifier(CameraView(CROP, None, Mount(90)))
    assert decode(CameraFrame(0, 0, 0, np.zeros((1280, 1024, 3), np.uint8)), turned).shape == (320, 256, 3)
    with pytest.raises(WrongSize, match="it is 1280x1024, calibration canonical is for 1024x1280"):
        decode(CameraFrame(0, 0, 0, np.zeros((1024, 1280, 3), np.uint8)), turned)
