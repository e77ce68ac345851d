"""What the tests of evaluation share: recordings, predictions of them, and a reader of frames from memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputMapping
from egostream.errors import EgostreamError
from tools.data.sequence import Sequence
from tools.evaluation.compare import compare
from tools.evaluation.predict import (
    Prediction,
)

CAMERA = canonical_calibration()
MAPPING = InputMapping("crop", CAMERA.size)
RNG = np.random.default_rng(0)


class Reader:
    """Network inputs from memory; ``broken`` frames cannot be read."""

    def __init__(self, images, broken=()):
        self.images, self.broken = images, set(broken)

    def read(self, sequence, index):
        if index in self.broken:
            raise EgostreamError(f"image {index} of {sequence.name} is broken")
        return self.images[index]

    def keypoints(self, sequence):
        return np.full((len(sequence), 15, 2), 32.0)


def recording(F=8, name="one", **changes):
    joints = (RNG.normal(size=(F, 15, 3)) * 0.3 + [0, 0.4, 0.8]).astype(np.float32)
    keypoints = np.zeros((F, 15, 2), np.float32)
    return replace(
        Sequence(name, [Path(f"{n}.jpg") for n in range(F)], np.arange(F), joints, keypoints, 30.0, camera=CAMERA),
        **changes,
    )


def predicted(sequence, offset=(0, 0, 0), keypoints=None, rows=None):
    rows = list(range(len(sequence))) if rows is None else rows
    at = MAPPING.canonical_from_heatmap(np.full((len(rows), 15, 2), 32.0)) if keypoints is None else keypoints
    return Prediction(rows, sequence.joints[rows].astype(np.float64) + offset, at)


def compared(sequence, prediction, heatmap_xy=None):
    truth = np.full((len(sequence), 15, 2), 32.0) if heatmap_xy is None else heatmap_xy
    return compare(sequence, truth, prediction, sequence.fps, MAPPING)


def replace_joints(prediction, joints):
    return replace(prediction, joints=np.asarray(joints, np.float64))
