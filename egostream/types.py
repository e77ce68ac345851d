"""The stages of one frame's way, as types: CameraFrame -> NetworkInput -> Pose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class CameraFrame:
    """What a camera delivered, untouched."""

    seq: int  # counts every frame the camera made, delivered or skipped; never restarts within a run
    segment: int  # grows when continuity ends: a loop of a file, a re-opened camera
    t_capture_ns: int  # host monotonic clock; in every-frame runs the recording's clock, from when it began to play
    data: np.ndarray  # BGR [H, W, 3], or the bytes of an encoded image [n]
    has_host_stamp: bool = True  # off: t_capture_ns says nothing about how long ago this was

    @property
    def is_encoded(self) -> bool:
        return self.data.ndim == 1


@dataclass(frozen=True)
class NetworkInput:
    """A rectified frame as it leaves the ring."""

    seq: int
    segment: int
    t_capture_ns: int
    image: np.ndarray  # uint8 RGB [256, 256, 3]
    stages_ns: dict[str, int]  # durations so far, in order
    t_done_ns: int  # when the last of them ended


@dataclass(frozen=True)
class Pose:
    """One frame's estimate."""

    seq: int
    t_capture_ns: int
    joints: np.ndarray  # float32 [15, 3] metres, camera axes of the canonical camera
    keypoints: np.ndarray  # float [15, 2] pixels on the camera's own full-size frame
    confidence: np.ndarray  # float [15] in 0..1, the heatmap's peak; 0 where the camera cannot see
    stages_ns: dict[str, int] = field(default_factory=dict)
    t_done_ns: int = 0
