"""Poses as rows, one for each joint: the columns that ``.parquet`` and ``.csv`` share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from egostream.skeleton import JOINT_COUNT
from egostream.types import Pose


class Column(NamedTuple):
    """A column: its name, type, unit, and what it holds. docs/recordings.md has the same table."""

    name: str
    dtype: str
    unit: str
    meaning: str


COLUMNS = (
    Column("frame", "int64", "1", "number of the frame in the recording, from 0"),
    Column("t_ns", "int64", "ns", "when it happened, from the recording's first frame on"),
    Column("joint", "str", "1", "name of the joint"),
    Column("x", "float32", "m", "joint, camera axes: to the wearer's right"),
    Column("y", "float32", "m", "joint, camera axes: down"),
    Column("z", "float32", "m", "joint, camera axes: forward"),
    Column("u", "float64", "px", "keypoint on the delivered picture, from its left pixel's centre"),
    Column("v", "float64", "px", "keypoint on the delivered picture, from its top pixel's centre"),
    Column("confidence", "float32", "1", "0 to 1: how sure the keypoint is; 0 where the camera cannot see"),
)


def columns_of(poses: list[Pose]) -> dict[str, np.ndarray]:
    """Poses as columns, by name; 15 rows for each pose. Of the joint stands its index. No value is rounded."""
    joints = np.stack([pose.joints for pose in poses]).astype(np.float32)
    keypoints = np.stack([pose.keypoints for pose in poses]).astype(np.float64)
    return {
        "frame": np.repeat(np.array([pose.seq for pose in poses], np.int64), JOINT_COUNT),
        "t_ns": np.repeat(np.array([pose.t_capture_ns for pose in poses], np.int64), JOINT_COUNT),
        "joint": np.tile(np.arange(JOINT_COUNT, dtype=np.int8), len(poses)),
        **{name: joints[..., axis].ravel() for axis, name in enumerate("xyz")},
        **{name: keypoints[..., axis].ravel() for axis, name in enumerate("uv")},
        # Heatmaps are fp32, so that this loses nothing.
        "confidence": np.stack([pose.confidence for pose in poses]).astype(np.float32).ravel(),
    }
