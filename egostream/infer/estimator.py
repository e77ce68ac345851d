"""What every estimator promises: frames in, poses out, with two verbs that the inference loop calls in turn.

Beside them, ``look`` serves the check of how the camera is mounted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from egostream.engine.contract import EngineManifest
from egostream.infer.stream import StreamState
from egostream.types import NetworkInput, Pose


class Estimator(ABC):
    """Estimates the poses of one or several streams, each from its newest frame and its kept past.

    Not thread-safe: it lives in the thread that loaded its engines.
    """

    motion: str  # "every-frame" or "trained-step": when motion is computed
    manifest: EngineManifest  # of an engine that gives poses
    most_at_once: int  # frames that are worth taking together
    streams: list[StreamState]  # by number

    @abstractmethod
    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready.

        frames: by number of their stream, the most urgent first; none is fine. A pose may not be finite: the network
        failed, and nothing of that frame is kept.
        """

    @abstractmethod
    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input, uint8 RGB [256, 256, 3], that is no stream's.

        It costs about a pose, and nothing is kept of it.
        """

    @abstractmethod
    def catch_up(self) -> None:
        """Do what the poses did not have to wait for. Call it when they are out, also after no frame at all."""

    def estimate(self, frame: NetworkInput) -> Pose:
        """The pose of the only stream's next frame, all work done."""
        ((_, pose),) = self.poses({0: frame})
        self.catch_up()
        return pose
