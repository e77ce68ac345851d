"""Sizes in the headers of pictures, as OpenCV's encoders write them, and what is not decoded."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.capture import decode, picture_size
from egostream.capture.decode import BadFrame, decode_bytes
from egostream.capture.picture_size import HEADER_BYTES, declared_size

LOSSY, LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 60), (cv2.IMWRITE_WEBP_QUALITY, 101)
FORMS = [(".png", ()), (".bmp", ()), (".webp", LOSSY), (".webp", LOSSLESS), (".jpg", ())]


def encoded(suffix, flags, width=333, height=41):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(suffix, image, flags)[1].reshape(-1)


@pytest.mark.parametrize(("suffix", "flags"), FORMS[:4])
def test_a_header_tells_the_size(suffix, flags):
    header = encoded(suffix, flags)[:HEADER_BYTES].tobytes()
    assert declared_size(header) == (333, 41)
    for length in range(HEADER_BYTES):
        declared_size(header[:length])  # never an exception


def test_an_extended_webp_tells_the_size_of_its_canvas():
    header = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + (1279).to_bytes(3, "little") + (799).to_bytes(3, "little")
    assert declared_size(header) == (1280, 800)
    assert declared_size(b"\xff\xd8\xff\xe0") is None


@pytest.mark.parametrize(("suffix", "flags"), FORMS[:4])
def test_a_picture_beyond_all_cameras_is_not_decoded(monkeypatch, suffix, flags):
    """In any process: only those of a run have OpenCV's own limit."""
    data = encoded(suffix, flags)
    assert decode_bytes(data, cv2.IMREAD_COLOR_BGR).shape == (41, 333, 3)
    monkeypatch.setattr(picture_size, "MOST_PIXELS", 333 * 41 - 1)
    monkeypatch.setattr(decode.cv2, "imdecode", lambda data, flags: pytest.fail("it was decoded"))
    with pytest.raises(BadFrame, match="333x41 pixels, more than any"):
        decode_bytes(data, cv2.IMREAD_COLOR_BGR)


def test_a_jpeg_beyond_all_cameras_is_not_decoded(monkeypatch):
    from fuzz_targets import rectifier

    from egostream.types import CameraFrame

    monkeypatch.setattr(picture_size, "MOST_PIXELS", 333 * 41 - 1)
    monkeypatch.setattr(decode, "decode_jpeg", lambda *some: pytest.fail("it was decoded"))
    with pytest.raises(BadFrame, match="333x41 pixels, more than any"):
        decode.decode(CameraFrame(0, 0, 0, encoded(".jpg", ())), rectifier())
