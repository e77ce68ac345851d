"""A recording's pictures by themselves, and their pixels at full size."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np

from egostream.capture.clips import Recording
from egostream.capture.decode import BadFrame, decode_bytes


def recorded_pictures(recording: Recording) -> Generator[tuple[int, np.ndarray]]:
    """Number and picture, BGR [H, W, 3] or encoded bytes [n], of every whole frame of a recording, from its first on.

    Raises EgostreamError when it cannot be opened.
    """
    recording.open()
    try:
        number = -1
        while True:
            number += 1
            try:
                picture = recording.read()
            except BadFrame:
                continue
            if picture is None:
                return
            yield number, picture
    finally:
        recording.close()


def pixels_of(picture: np.ndarray) -> np.ndarray:
    """A picture's pixels, BGR [H, W, 3], as they are delivered. Raises BadFrame."""
    return decode_bytes(picture, cv2.IMREAD_COLOR_BGR) if picture.ndim == 1 else picture
