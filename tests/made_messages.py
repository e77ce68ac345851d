"""Messages that tests make up."""

from __future__ import annotations

from egostream.publish.message import PoseMessage


def pose_message(**changes):
    values = {
        "stream": "1",
        "seq": 3,
        "t_capture_ns": 1,
        "t_publish_ns": 2,
        "clock_offset_ns": 0,
        "stages_ns": {},
        "joints": [[0.0] * 3] * 15,
        "confidence": [1.0] * 15,
        "keypoints": [[0.0] * 2] * 15,
        "weights": "w",
        "dropped_frames": 0,
    }
    return PoseMessage(**{**values, **changes})
