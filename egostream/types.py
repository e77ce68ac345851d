"""What travels in a frame: one type per stage, and the table of stages.

A frame becomes ``CameraFrame`` (capture) -> ``NetworkInput`` (through the ring) -> ``Pose`` (to the message). The
ring carries every field of ``NetworkInput``. The message carries the fields that ``Pose`` and ``PoseMessage`` share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from egostream.told import Told


class Stage(StrEnum):
    """The stages of a frame's way, in their order. A duration counts from the end of the stage before."""

    GRAB = "grab"  # capture process: from the capture stamp until the frame was read
    DECODE = "decode"  # capture process: bytes to pixels, at the reduced size
    RECTIFY = "rectify"  # capture process: pixels to the network's input
    HANDOVER = "handover"  # in the ring, and until the frame's batch begins
    WINDOW = "window"  # inference process: whether the frame continues its past; at every-frame also gathering it
    NETWORK = "network"  # inference process: the engines
    KEYPOINTS = "keypoints"  # inference process: peaks, rays, filter
    PUBLISH = "publish"  # inference process: until the message is made; packing and sending count as transport
    TRANSPORT = "transport"  # until a subscriber has it; only subscribers know, so that no message carries it


#: Stages that a frame has behind it when it enters the ring.
CAPTURE_STAGES = (Stage.GRAB, Stage.DECODE, Stage.RECTIFY)


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
        """Whether ``data`` holds the bytes of an encoded image instead of pixels."""
        return self.data.ndim == 1


@dataclass(frozen=True)
class NetworkInput:
    """A rectified frame, on its way through the ring and out of it."""

    seq: int
    segment: int
    t_capture_ns: int
    image: np.ndarray  # uint8 RGB [256, 256, 3]
    stages_ns: dict[str, int]  # durations so far by ``Stage``, in order
    t_done_ns: int  # when the last of them ended


@dataclass(frozen=True)
class Pose:
    """One frame's estimate."""

    seq: int
    t_capture_ns: int
    joints: np.ndarray  # float32 [15, 3] metres, axes of the canonical camera, mounted upright
    keypoints: np.ndarray  # float [15, 2] pixels on the camera's own full-size frame, as it is delivered
    confidence: np.ndarray  # float [15] in 0..1, the heatmap's peak; 0 where the camera cannot see
    stages_ns: dict[str, int] = field(default_factory=dict)  # as of ``NetworkInput``
    t_done_ns: int = 0
    continues: bool = True  # off: the past was forgotten before this pose, the first one included
    motions: tuple[int, ...] = ()  # ``seq`` of the frames whose motion was made since the pose before, in order
    sigma_m: np.ndarray | None = None  # float [15] metres: how far off each joint is, on average; None: nobody says
    told: Told | None = None  # what the network was told beside the picture; None: nothing

    @property
    def is_finite(self) -> bool:
        """Whether all joints are numbers. Where they are not, the network failed, and there is no pose."""
        return bool(np.isfinite(self.joints).all())
