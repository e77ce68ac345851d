"""``.npz``: NumPy arrays, a row for each pose. The poses are held until the end: 540 bytes each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from egostream.annotate.contract import RecordingFacts
from egostream.skeleton import JOINTS
from egostream.types import Pose


class NpzWriter:
    """Writes the arrays ``frame``, ``t_ns``, ``joints``, ``keypoints``, ``confidence``, ``joint_names``, ``facts``."""

    def __init__(self, path: Path, facts: RecordingFacts):
        self.path, self.facts = path, facts
        self.frames: list[tuple[int, int]] = []
        self.joints: list[np.ndarray] = []
        self.keypoints: list[np.ndarray] = []
        self.confidence: list[np.ndarray] = []

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Keep one pose."""
        self.frames.append((pose.seq, pose.t_capture_ns))
        self.joints.append(pose.joints.astype(np.float32))
        self.keypoints.append(pose.keypoints.astype(np.float64))
        self.confidence.append(pose.confidence.astype(np.float32))

    def finish(self) -> None:
        """Write the file."""
        frame, t_ns = np.array(self.frames, np.int64).T
        with open(self.path, "wb") as file:  # np.savez would add a suffix to the draft's name
            np.savez_compressed(
                file,
                frame=frame,
                t_ns=t_ns,
                joints=np.stack(self.joints),
                keypoints=np.stack(self.keypoints),
                confidence=np.stack(self.confidence),
                joint_names=np.array(JOINTS),
                facts=np.array(json.dumps(self.facts.fields())),
            )

    def close(self) -> None:
        """Do nothing: no file stays open."""
