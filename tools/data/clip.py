"""A clip with its ground truth as a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.calibration.file import Calibration
from egostream.capture.clips import Video
from egostream.errors import EgostreamError
from egostream.truth import load_truth, truth_path
from tools.data.sequence import Sequence


@dataclass(frozen=True)
class ClipFrame:
    """One frame of a Motion-JPEG clip, still encoded; stands for a picture file."""

    clip: Path
    number: int
    data: bytes

    def read_bytes(self) -> bytes:
        return self.data

    def __str__(self) -> str:
        return f"{self.clip} frame {self.number}"


def read_clip(clip: Path, camera: Calibration) -> Sequence:
    """A Motion-JPEG clip of a calibrated camera with its ground truth beside it (``egostream.truth``)."""
    truth = load_truth(truth_path(clip))
    video = Video(clip, 0)
    video.open()
    frames: list[ClipFrame] = []
    while (packet := video.read()) is not None:
        frames.append(ClipFrame(clip, len(frames), packet.tobytes()))
    video.close()
    if not video.is_raw or len(frames) != len(truth):
        raise EgostreamError(f"{clip} has {len(frames)} frames, its ground truth {len(truth)}. Make the clip again")
    return Sequence(
        clip.stem,
        frames,
        np.arange(len(frames)),
        truth.joints,
        truth.keypoints,
        fps=truth.fps,
        visible=truth.visible,
        camera=camera,
    )
