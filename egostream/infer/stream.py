"""One stream's state in inference: its window, its camera's view, its refiner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from egostream.calibration.view import CameraView
from egostream.infer.batch import Lap, is_finite
from egostream.infer.refine import Refiner
from egostream.infer.window import CausalWindow
from egostream.told import Told
from egostream.types import NetworkInput, Pose, Stage


@dataclass(frozen=True)
class Directions:
    """Where one frame's keypoints lie."""

    keypoints: np.ndarray  # [15, 2] pixels of the camera's own full-size frame
    confidence: np.ndarray  # [15] in 0..1; 0 where the camera does not see
    rays: np.ndarray  # [15, 3] unit vectors in upright axes
    trust: np.ndarray  # [15] confidence; 0 also where the ray means nothing


class StreamState:
    """One stream's past and the geometry of its camera. ``resets`` counts how often continuity ended.

    has_past, motions: what came about since the last pose, as ``Pose`` tells it. A replay can do the same again.
    """

    def __init__(self, window: CausalWindow, view: CameraView, refiner: Refiner):
        self.window, self.view, self.refiner = window, view, refiner
        self.segment: int | None = None
        self.resets = 0
        self.has_past = False
        self.motions: list[int] = []

    @property
    def has_rays(self) -> bool:
        """Whether joints are turned to their keypoints' rays."""
        return self.refiner.has_rays

    @property
    def stature_m(self) -> float:
        """The wearer's stature that joints are scaled to, in metres; 0: unknown."""
        return self.refiner.stature_m

    def enter(self, frame: NetworkInput) -> None:
        """Forget the past when the frame does not continue it."""
        if frame.segment != self.segment or self.window.breaks(frame.t_capture_ns):
            self.reset()
            self.segment = frame.segment

    def reset(self) -> None:
        """Forget the past; the next pose comes from its own frame alone."""
        if self.window.count:
            self.resets += 1
        self.window.reset()
        self.refiner.reset()
        self.has_past = False
        self.motions.clear()

    def took_motion(self, seq: int) -> None:
        """Note that a frame's motion was made, and is part of the past from now on."""
        self.motions.append(seq)

    def directions(self, peaks: np.ndarray, heights: np.ndarray) -> Directions:
        """Where a frame's keypoints lie: heatmap peaks [15, 2] in heatmap coordinates, their heights [15] in 0..1."""
        keypoints, is_seen = self.view.keypoints_in_camera(peaks)
        rays, is_known = self.view.rays(peaks)
        confidence = np.where(is_seen, heights, 0.0)
        return Directions(keypoints, confidence, rays, np.where(is_known, confidence, 0.0))

    def pose(self, frame: NetworkInput, joints: np.ndarray, peaks: np.ndarray, heights: np.ndarray, lap: Lap) -> Pose:
        """The pose of what the network made of a frame.

        joints [15, 3] metres, camera axes; peaks and heights as ``directions`` takes them.
        """
        return self.pose_along(frame, joints, self.directions(peaks, heights), lap)

    def pose_along(
        self,
        frame: NetworkInput,
        joints: np.ndarray,
        seen: Directions,
        lap: Lap,
        sigma: np.ndarray | None = None,
        told: Told | None = None,
    ) -> Pose:
        """The pose of joints [15, 3] beside keypoints that lie there.

        sigma [15] metres, where the network gives it; told: what it was told of the frame, if anything.
        Joints that are not finite stay as they are: there is nothing to refine.
        """
        where = seen.keypoints, seen.confidence
        if not is_finite(joints):
            lap.end(Stage.KEYPOINTS)
            return Pose(frame.seq, frame.t_capture_ns, joints.copy(), *where, lap.stages_ns, lap.t_ns)
        refined = self.refiner(frame.t_capture_ns, joints, seen.rays, seen.trust)
        came_about = self.has_past, tuple(self.motions)
        self.has_past = True
        self.motions.clear()
        lap.end(Stage.KEYPOINTS)
        stamps = lap.stages_ns, lap.t_ns
        return Pose(frame.seq, frame.t_capture_ns, refined, *where, *stamps, *came_about, sigma_m=sigma, told=told)


def stream_states(
    slots: int, step_ns: int, views: Sequence[CameraView], refiners: Sequence[Refiner] | None
) -> list[StreamState]:
    """A state for each camera. refiners: one for each, or None for joints as the network gives them."""
    refiners = refiners or [Refiner() for _ in views]
    return [StreamState(CausalWindow(slots, step_ns), view, refiner) for view, refiner in zip(views, refiners)]
