"""The bundled clip, as it lies in its file."""

from __future__ import annotations

import cv2
import numpy as np

from egostream.files import asset


def sample_images() -> list[np.ndarray]:
    """The JPEG packets of the bundled clip."""
    capture = cv2.VideoCapture(str(asset("sample", "sample.avi")), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    images = []
    while (packet := capture.read())[0]:
        images.append(packet[1].reshape(-1).copy())
    return images
