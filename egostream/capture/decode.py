"""Bytes -> BGR at the reduced size that the rectifier wants."""

from __future__ import annotations

import time

import cv2
import numpy as np

from egostream.calibration.file import Calibration
from egostream.capture.rectify import Rectifier
from egostream.types import CameraFrame, NetworkInput, Stage

JPEG_START = b"\xff\xd8"
#: OpenCV's flags that decode a JPEG at 1/1, 1/2, 1/4 and 1/8 of its size, one for each of the rectifier's REDUCTIONS.
#: A JPEG of 1280x1024 takes 6.9 ms at 1/1, 2.5 ms at 1/2 and 2.0 ms at 1/4.
DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR_BGR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class BadFrame(Exception):
    """One frame that cannot be used; the camera goes on."""


class WrongSize(BadFrame):
    """A frame of another size than the calibration's."""


def prepare(frame: CameraFrame, rectifier: Rectifier, t_read_ns: int) -> NetworkInput:
    """A camera's frame, read at ``t_read_ns``, as the network's input with the durations so far. Raises BadFrame."""
    reduced = decode(frame, rectifier)
    t_decoded_ns = time.monotonic_ns()
    image = rectifier.rectify(reduced)
    t_rectified_ns = time.monotonic_ns()
    stages_ns: dict[str, int] = {
        Stage.GRAB: max(0, t_read_ns - frame.t_capture_ns) if frame.has_host_stamp else 0,
        Stage.DECODE: t_decoded_ns - t_read_ns,
        Stage.RECTIFY: t_rectified_ns - t_decoded_ns,
    }
    return NetworkInput(frame.seq, frame.segment, frame.t_capture_ns, image, stages_ns, t_rectified_ns)


def decode(frame: CameraFrame, rectifier: Rectifier) -> np.ndarray:
    """The frame as BGR [H, W, 3] at the rectifier's reduced size. Raises BadFrame, or WrongSize."""
    camera, reduction, reduced_size = rectifier.view.camera, rectifier.reduction, rectifier.reduced_size()
    if frame.is_encoded and frame.data[:2].tobytes() == JPEG_START:
        image = decode_bytes(frame.data, DECODE_FLAGS[reduction])
        check_size(image, reduced_size, camera)
        return image
    image = decode_bytes(frame.data, cv2.IMREAD_COLOR_BGR) if frame.is_encoded else frame.data
    check_size(image, camera.size, camera)
    return image if reduction == 1 else cv2.resize(image, reduced_size, interpolation=cv2.INTER_AREA)


def decode_bytes(data: np.ndarray, flags: int) -> np.ndarray:
    """The image in encoded bytes [n], uint8 [H, W, 3], its pixels as they are stored. Raises BadFrame.

    flags: OpenCV's, which say the order of colours and the reduction.
    """
    try:
        image = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:  # damaged PNG headers raise, damaged JPEGs return nothing
        image = None
    if image is None:
        raise BadFrame("the image is broken")
    return image


def check_size(image: np.ndarray, wanted: tuple[int, int], camera: Calibration) -> None:
    """Raise WrongSize unless an image [H, W, 3] is as large as ``wanted`` (width, height).

    camera: whose frame it is, of full size or reduced.
    """
    height, width = image.shape[:2]
    if (width, height) == tuple(wanted):
        return
    scale = camera.size[0] / wanted[0]
    lies_on_its_side = (height, width) == tuple(wanted) and width != height
    raise WrongSize(
        f"it is {width * scale:.0f}x{height * scale:.0f}, calibration {camera.name} is for "
        f"{camera.size[0]}x{camera.size[1]}. Give this camera's own: --calibration FILE, "
        "made by python tools/calibrate.py"
        + ("; or, with --assume-canonical, turn it: --rotate 90, 270 or none" if lies_on_its_side else "")
    )
