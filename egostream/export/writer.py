"""What every writer of animation files does."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from egostream.body.axes import GLTF
from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.errors import EgostreamError

#: Both formats are right-handed with y up, and their people look along z, so that x is to their left.
FILE_AXES = GLTF


class PoseWriter(Protocol):
    """Writes one animation. ``open``, then ``add`` for each pose in its order, then ``finish``."""

    def open(self, path: Path) -> None:
        """Begin a file; nothing is written before ``finish``."""

    def add(self, pose: BodyPose) -> None:
        """Take a pose, in a room's axes: x right, y down, z forward, the floor at y = 0."""

    def finish(self, body: Body) -> None:
        """Write the file whole, with the bones of ``body``. Raises EgostreamError where it cannot be written."""


class PoseList:
    """The poses of one file, kept until its wearer's bones are known: 650 bytes a pose."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.poses: list[BodyPose] = []

    def open(self, path: Path) -> None:
        """Begin a file."""
        self.path, self.poses = Path(path), []

    def add(self, pose: BodyPose) -> None:
        """Take a pose. One that is not later than the pose before is left out: files know no two at one time."""
        if not self.poses or pose.t_ns > self.poses[-1].t_ns:
            self.poses.append(pose)

    def target(self) -> Path:
        """Where to write. Raises EgostreamError where there is no pose."""
        if self.path is None:
            raise EgostreamError("no file was opened for these poses")
        if not self.poses:
            raise EgostreamError(f"{self.path}: there was no pose to write. Is a wearer in the recording?")
        return self.path

    def times(self) -> np.ndarray:
        """Seconds [F] since the first pose."""
        return np.array([pose.t_ns - self.poses[0].t_ns for pose in self.poses]) / 1e9

    def hips(self) -> np.ndarray:
        """Positions [F, 3] of the hips in the file's axes."""
        return FILE_AXES.points(np.array([pose.hips for pose in self.poses]))

    def rotations(self) -> np.ndarray:
        """Local rotations [F, 19, 4] of the bones in the file's axes."""
        return FILE_AXES.rotations(np.array([pose.local for pose in self.poses]))
