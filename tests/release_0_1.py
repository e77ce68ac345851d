"""The messages of release 0.1.0, written down by hand from its page of messages: what its clients decode, and send."""

from __future__ import annotations

import msgspec


class Pose(msgspec.Struct, frozen=True, kw_only=True):
    """``pose/<stream>``."""

    v: int
    stream: str
    seq: int
    t_capture_ns: int
    t_publish_ns: int
    clock_offset_ns: int
    stages_ns: dict[str, int]
    joints: list[list[float]]
    frame: str
    confidence: list[float]
    keypoints: list[list[float]]
    weights: str
    dropped_frames: int


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    joints: list[str]
    parents: list[int]


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    trained: bool
    variant: str
    temporal: str
    window: int
    step_ms: float
    description: str


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    backend: str
    version: str
    device: str
    precision: str
    motion: str


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    source: str
    mode: str
    fps: float
    bad_frames: int
    note: str
    calibration: str
    size: tuple[int, int]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """``status/<stream>``."""

    v: int
    stream: str
    t_publish_ns: int
    clock_offset_ns: int
    skeleton: Skeleton
    weights: Weights
    engine: Engine
    camera: Camera
    poses: int
    fps: float
    latency_ms: dict[str, float]
    dropped_frames: int
    window_resets: int
    restarts: dict[str, int]
    filter: str
    rays: bool
    stature_m: float


POSE = {
    "v": 1,
    "stream": "0",
    "seq": 7,
    "t_capture_ns": 1_000_000_000,
    "t_publish_ns": 1_015_000_000,
    "clock_offset_ns": 1_764_000_000_000_000_000,
    "stages_ns": {"grab": 1_000_000, "network": 14_000_000},
    "joints": [[0.1, -0.2, 0.3]] * 15,
    "frame": "camera",
    "confidence": [0.5] * 15,
    "keypoints": [[640.0, 512.5]] * 15,
    "weights": "1626ece0a1b2",
    "dropped_frames": 2,
}
STATUS = {
    "v": 1,
    "stream": "0",
    "t_publish_ns": 1_015_000_000,
    "clock_offset_ns": 1_764_000_000_000_000_000,
    "skeleton": {
        "joints": ["neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"]
        + ["right_hip", "right_knee", "right_ankle", "right_foot", "left_hip", "left_knee", "left_ankle", "left_foot"],
        "parents": [0, 0, 1, 2, 0, 4, 5, 1, 7, 8, 9, 4, 11, 12, 13],
    },
    "weights": {
        "id": "1626ece0a1b2",
        "trained": True,
        "variant": "released",
        "temporal": "window",
        "window": 32,
        "step_ms": 66.7,
        "description": "by hand",
    },
    "engine": {"backend": "openvino", "version": "1", "device": "CPU", "precision": "int8", "motion": "trained-step"},
    "camera": {
        "state": "streaming",
        "source": "0",
        "mode": "1280x1024 MJPG",
        "fps": 29.9,
        "bad_frames": 0,
        "note": "",
        "calibration": "canonical",
        "size": [1280, 1024],
    },
    "poses": 8,
    "fps": 30.1,
    "latency_ms": {"p50": 15.0, "p95": 16.0, "p99": 17.0, "worst": 20.0},
    "dropped_frames": 2,
    "window_resets": 1,
    "restarts": {"capture": 0, "infer": 0},
    "filter": "one-euro",
    "rays": True,
    "stature_m": 1.78,
}
