"""Bytes -> BGR at the reduced size that the rectifier wants."""

from __future__ import annotations

import time

import cv2
import numpy as np

from egostream.calibration.file import Calibration
from egostream.capture.jpeg import JPEG_START, DamagedJpeg, Habit, decode_jpeg, jpeg_size
from egostream.capture.jpeg_header import jpeg_size as header_size
from egostream.capture.picture_size import HEADER_BYTES, declared_size, is_too_large
from egostream.capture.rectify import REDUCTIONS, Rectifier, reduced_by
from egostream.handover.board import BadReason
from egostream.types import CameraFrame, NetworkInput, Stage

#: Bytes of a JPEG in which its size stands.
LONGEST_HEADER = 1 << 17


class BadFrame(Exception):
    """One frame that cannot be used; the camera goes on. ``reason`` is what it is counted as."""

    reason = BadReason.BROKEN


class DamagedFrame(BadFrame):
    """A frame that lacks a part, or whose parts do not belong together."""

    reason = BadReason.DAMAGED


class WrongSize(BadFrame):
    """A frame of another size than the calibration's."""

    reason = BadReason.WRONG_SIZE


def prepare(frame: CameraFrame, rectifier: Rectifier, t_read_ns: int, habit: Habit) -> NetworkInput:
    """A camera's frame, read at ``t_read_ns``, as the network's input with the durations so far. Raises BadFrame."""
    reduced = decode(frame, rectifier, habit)
    t_decoded_ns = time.monotonic_ns()
    image = rectifier.rectify(reduced)
    t_rectified_ns = time.monotonic_ns()
    stages_ns: dict[str, int] = {
        Stage.GRAB: max(0, t_read_ns - frame.t_capture_ns) if frame.has_host_stamp else 0,
        Stage.DECODE: t_decoded_ns - t_read_ns,
        Stage.RECTIFY: t_rectified_ns - t_decoded_ns,
    }
    return NetworkInput(frame.seq, frame.segment, frame.t_capture_ns, image, stages_ns, t_rectified_ns)


def decode(frame: CameraFrame, rectifier: Rectifier, habit: Habit | None = None) -> np.ndarray:
    """The frame as BGR [H, W, 3] at the rectifier's reduced size. Raises BadFrame, or WrongSize.

    habit: of the camera that the frame comes from; none for a picture by itself.
    """
    camera, reduction, reduced_size = rectifier.view.camera, rectifier.reduction, rectifier.reduced_size()
    if frame.is_encoded and frame.data[:2].tobytes() == JPEG_START:
        image = decode_reduced(frame.data, rectifier, habit or Habit())
        check_size(image.shape[1::-1], reduced_size, camera)
        return image
    image = decode_bytes(frame.data, cv2.IMREAD_COLOR_BGR) if frame.is_encoded else frame.data
    check_size(image.shape[1::-1], camera.size, camera)
    return image if reduction == 1 else cv2.resize(image, reduced_size, interpolation=cv2.INTER_AREA)


def decode_reduced(data: np.ndarray, rectifier: Rectifier, habit: Habit) -> np.ndarray:
    """A JPEG [n] at the rectifier's reduced size, BGR [H, W, 3]. Raises BadFrame.

    A size in a header is believed where the rest is whole.
    """
    camera = rectifier.view.camera
    try:
        size = jpeg_size(data)
        refuse_too_large(size or header_size(data[:LONGEST_HEADER].tobytes()))
        if size not in (None, tuple(camera.size)):
            decode_jpeg(data, max(REDUCTIONS), reduced_by(size, max(REDUCTIONS)), Habit())
            check_size(size, camera.size, camera)
        return decode_jpeg(data, rectifier.reduction, rectifier.reduced_size(), habit)
    except DamagedJpeg as damage:
        raise DamagedFrame(f"the image is broken: {damage}") from None


def decode_bytes(data: np.ndarray, flags: int) -> np.ndarray:
    """The image in encoded bytes [n], uint8 [H, W, 3], its pixels as they are stored. Raises BadFrame.

    flags: OpenCV's, which say the order of colours and the reduction.
    """
    refuse_too_large(declared_size(data[:HEADER_BYTES].tobytes()))
    try:
        image = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:  # damaged PNG headers raise, damaged JPEGs return nothing
        image = None
    if image is None:
        raise BadFrame("the image is broken")
    return image


def refuse_too_large(size: tuple[int, int] | None) -> None:
    """Raise BadFrame for a picture that would take more memory than any camera's. size: by its header, or None."""
    if size is not None and is_too_large(size):
        raise BadFrame(
            f"the image is broken: it says that it has {size[0]}x{size[1]} pixels, more than any that is read"
        )


def check_size(size: tuple[int, ...], wanted: tuple[int, int], camera: Calibration) -> None:
    """Raise WrongSize unless ``size`` is ``wanted``, both (width, height).

    camera: whose frame it is, of full size or reduced.
    """
    width, height = size
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
