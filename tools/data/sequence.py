"""One recording of a person: frames in order, joints, keypoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from egostream.calibration.file import Calibration
from egostream.calibration.view import InputGeometry

FPS = 25.0  # of both datasets' recordings; neither states it in its files


@dataclass(frozen=True)
class Sequence:
    """One recording. Frames are those with a usable annotation, in order of capture."""

    name: str
    images: list  # of Path, or of clip.ClipFrame, which is read as a Path is
    frames: np.ndarray  # int [F], number of each frame in the recording: gaps are frames left out
    joints: np.ndarray  # float32 [F, 15, 3] metres, camera axes
    keypoints: np.ndarray  # float32 [F, 15, 2] pixels of the camera's full frame
    fps: float = FPS
    visible: np.ndarray | None = None  # bool [F, 15]: in the picture and not hidden; None: unknown
    #: Whose full frames the images are; None: they are the canonical camera's network input.
    camera: Calibration | None = None
    geometry: InputGeometry = InputGeometry("canonical", "crop")
    left_out: Counter = field(default_factory=Counter)  # why -> how many
    stature_m: float = 0.0  # the wearer's; 0: unknown
    world_to_camera: np.ndarray | None = None  # float32 [F, 4, 4], world with y up and a floor at 0; None: unknown
    is_captured: bool | None = None  # whether the movement is motion capture, or invented; None: unknown

    def __len__(self) -> int:
        return len(self.images)

    def summary(self) -> str:
        """One line: how many frames, and what was left out."""
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.left_out.items()))
        return f"{self.name}: {len(self)} frames" + (f", left out: {reasons}" if reasons else "")

    def windows(self, length: int, stride: int) -> Iterator[slice]:
        """Windows of consecutive kept frames. A sequence shorter than one window gives one, of all its frames."""
        if len(self) < length:
            yield slice(0, len(self))
            return
        for start in range(0, len(self) - length + 1, stride):
            yield slice(start, start + length)
