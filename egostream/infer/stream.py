"""One stream's state in inference: its window, its camera's view, its refiner."""

from __future__ import annotations

import numpy as np

from egostream.calibration.view import CameraView
from egostream.infer.batch import Lap, is_finite
from egostream.infer.refine import Refiner
from egostream.infer.window import CausalWindow
from egostream.types import NetworkInput, Pose


class StreamState:
    """One stream's causal window, lens and refiner. ``resets`` counts how often continuity ended."""

    def __init__(self, window: CausalWindow, view: CameraView, refiner: Refiner):
        self.window, self.view, self.refiner = window, view, refiner
        self.segment, self.resets = None, 0

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

    def pose(self, frame: NetworkInput, joints, peaks, confidence, lap: Lap) -> Pose:
        """The pose of what the network made of a frame: joints [15, 3], heatmap peaks [15, 2] and their height [15]."""
        keypoints, seen = self.view.keypoints_in_camera(peaks)
        confidence = np.where(seen, confidence, 0.0)
        rays, known = self.view.rays(peaks)
        joints = (
            self.refiner(frame.t_capture_ns, joints, rays, np.where(known, confidence, 0.0))
            if is_finite(joints)
            else joints.copy()
        )
        lap.end("keypoints")
        return Pose(frame.seq, frame.t_capture_ns, joints, keypoints, confidence, lap.stages, lap.t_ns)


def stream_states(
    slots: int, step_ns: int, views: list[CameraView], refiners: list[Refiner] | None
) -> list[StreamState]:
    """One for each camera."""
    pairs = zip(views, refiners or [Refiner() for _ in views])
    return [StreamState(CausalWindow(slots, step_ns), *pair) for pair in pairs]
