"""Bytes -> BGR at the reduced size that the rectifier wants."""

from __future__ import annotations

import time

import cv2
import numpy as np

from egostream.capture.rectify import Rectifier
from egostream.types import CameraFrame, NetworkInput

JPEG_START = b"\xff\xd8"


DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR_BGR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8,
}  # fmt: skip


class BadFrame(Exception):
    """One frame that cannot be used; the camera goes on."""


class WrongSize(BadFrame):
    """A frame of another size than the calibration's."""


def prepare(frame: CameraFrame, rectifier: Rectifier, t_read_ns: int) -> NetworkInput:
    """Decode at the reduction that the rectifier wants, and rectify. Raises BadFrame."""
    reduced = decode(frame, rectifier)
    t_decoded_ns = time.monotonic_ns()
    image = rectifier.rectify(reduced)
    t_rectified_ns = time.monotonic_ns()
    stages = {
        "grab": max(0, t_read_ns - frame.t_capture_ns) if frame.has_host_stamp else 0,
        "decode": t_decoded_ns - t_read_ns,
        "rectify": t_rectified_ns - t_decoded_ns,
    }
    return NetworkInput(frame.seq, frame.segment, frame.t_capture_ns, image, stages, t_rectified_ns)


def decode(frame: CameraFrame, rectifier: Rectifier) -> np.ndarray:
    """The frame as BGR at the rectifier's reduced size."""
    reduction = rectifier.reduction
    if frame.is_encoded and frame.data[:2].tobytes() == JPEG_START:
        image = decode_bytes(frame.data, DECODE_FLAGS[reduction])
        check_size(image, rectifier.reduced_size(), rectifier)
        return image
    image = decode_bytes(frame.data, cv2.IMREAD_COLOR_BGR) if frame.is_encoded else frame.data
    check_size(image, rectifier.view.camera.size, rectifier)
    return image if reduction == 1 else cv2.resize(image, rectifier.reduced_size(), interpolation=cv2.INTER_AREA)


def decode_bytes(data: np.ndarray, flags: int) -> np.ndarray:
    """An encoded image as BGR, its pixels as they are stored. Raises BadFrame."""
    try:
        image = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:  # damaged PNG headers raise, damaged JPEGs return nothing
        image = None
    if image is None:
        raise BadFrame("the image is broken")
    return image


def check_size(image: np.ndarray, wanted: tuple[int, int], rectifier: Rectifier) -> None:
    height, width = image.shape[:2]
    if (width, height) != tuple(wanted):
        scale = rectifier.view.camera.size[0] / wanted[0]
        got = f"{width * scale:.0f}x{height * scale:.0f}"
        expected = "x".join(map(str, rectifier.view.camera.size))
        raise WrongSize(
            f"it is {got}, calibration {rectifier.view.camera.name} is for {expected}. Give this camera's own: --calibration FILE, made by python tools/calibrate.py"
        )
