"""Network inputs from a recording, for the tools that compare and calibrate engines."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from egostream.calibration.file import Calibration
from egostream.calibration.view import CameraView
from egostream.capture.clips import ImageFolder, Video
from egostream.capture.decode import BadFrame, WrongSize, decode
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.weights import Weights
from egostream.types import CameraFrame

SAMPLE = asset("sample", "sample.avi")


def read_frames(
    path: Path, weights: Weights, camera: Calibration | None = None, limit: int = 0
) -> tuple[list[np.ndarray], float]:
    """Rectified frames of a video or image folder, uint8 [256, 256, 3] each, and their rate.

    camera: what took them, the canonical one if none is given. limit: frames at most, 0 for all. Frames that cannot be
    used are named and skipped; raises EgostreamError when none is left, and for those of another camera's size.
    """
    recording = ImageFolder(path) if path.is_dir() else Video(path)
    recording.open()
    rectifier = Rectifier(CameraView(weights.input, camera))
    images: list[np.ndarray] = []
    while not limit or len(images) < limit:
        try:
            if (data := recording.read()) is None:
                break
            images.append(rectifier.rectify(decode(CameraFrame(0, 0, 0, data), rectifier)))
        except WrongSize as bad:  # and so are all the others
            recording.close()
            raise EgostreamError(f"{path}: {bad}") from None
        except BadFrame as bad:
            print(f"{path}: skipping a frame: {bad}", file=sys.stderr)
    recording.close()
    if not images:
        raise EgostreamError(f"{path} has no usable frame. Give others: --frames FOLDER")
    return images, recording.fps


def load_frames(path: Path | None, weights: Weights, count: int) -> np.ndarray:
    """Rectified frames spread over a recording of the canonical camera, uint8 [count, 256, 256, 3]."""
    images, _ = read_frames(path or SAMPLE, weights)
    return np.stack([images[i] for i in np.linspace(0, len(images) - 1, count).astype(int)])
