"""``.bvh``, ``.vrma``, ``.glb``: joints become rotations of a humanoid's bones, in a room that is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.annotate.contract import RecordingFacts
from egostream.body.solve import BodySolver
from egostream.errors import EgostreamError
from egostream.export.bvh import BvhWriter
from egostream.export.gltf import GltfWriter
from egostream.export.writer import PoseWriter as BodyWriter
from egostream.head.bodies import GuessedRoom
from egostream.types import Pose


class AnimationWriter:
    """Solves each pose and hands it to a writer of ``egostream/export/``, which keeps all until the end."""

    def __init__(self, path: Path, facts: RecordingFacts, writer: BodyWriter):
        self.solve, self.room, self.writer = BodySolver(facts.stature_m), GuessedRoom(), writer
        self.writer.open(path)

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Solve one pose."""
        solved = self.solve(pose.t_capture_ns, pose.joints, pose.confidence)
        self.writer.add(self.room(solved, pose.joints, self.solve.body).pose)

    def finish(self) -> None:
        """Write the file, with the bones as they were measured."""
        try:
            self.writer.finish(self.solve.body)
        except EgostreamError as error:
            if isinstance(error.__context__, OSError):  # of the disk: told as any other file's
                raise error.__context__ from None
            raise

    def close(self) -> None:
        """Do nothing: no file stays open."""


def bvh_writer(path: Path, facts: RecordingFacts) -> AnimationWriter:
    """The writer of a ``.bvh``: metres, equal steps."""
    return AnimationWriter(path, facts, BvhWriter())


def gltf_writer(path: Path, facts: RecordingFacts) -> AnimationWriter:
    """The writer of a ``.vrma`` or ``.glb``, as the path ends."""
    return AnimationWriter(path, facts, GltfWriter())
