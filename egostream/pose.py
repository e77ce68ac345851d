"""One frame in, one pose out: the step engine with its memory."""

from __future__ import annotations

import time

import numpy as np

from egostream.engine import Engine, EngineManifest, load_engine
from egostream.keypoints import heatmap_peaks
from egostream.memory import memory_for
from egostream.rectify import Rectifier
from egostream.setup import RunSetup
from egostream.types import NetworkInput, Pose
from egostream.window import CausalWindow


class PoseEstimator:
    """Runs the step engine frame by frame over a causal window. ``resets`` counts how often continuity ended."""

    def __init__(self, engine: Engine, manifest: EngineManifest, step_ns: int, rectifier: Rectifier):
        self.engine, self.rectifier = engine, rectifier
        self.inputs = {name: np.zeros(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()}
        self.window = CausalWindow(manifest.window, step_ns)
        self.memory = memory_for(manifest.temporal, self.inputs, self.window)
        self.segment, self.resets = None, 0
        engine.bind(self.inputs)

    def estimate(self, frame: NetworkInput) -> Pose:
        """The pose of a frame, from it and the kept past."""
        stages = dict(frame.stages_ns)
        lap = Lap(frame.t_done_ns, stages)
        if frame.segment != self.segment or self.window.breaks(frame.t_capture_ns):
            self.reset()
            self.segment = frame.segment
        self.memory.gather(frame.t_capture_ns)
        self.inputs["frame"][0] = frame.image
        lap.end("window")
        outputs = self.engine.run()
        lap.end("network")
        self.memory.keep(frame.t_capture_ns, outputs)
        peaks, confidence = heatmap_peaks(outputs["heatmaps"][0])
        keypoints, seen = self.rectifier.keypoints_in_camera(peaks)
        lap.end("keypoints")
        confidence = np.where(seen, confidence, 0.0)
        return Pose(frame.seq, frame.t_capture_ns, outputs["joints"][0].copy(), keypoints, confidence, stages, lap.t_ns)

    def reset(self) -> None:
        """Forget the past; the next pose comes from its own frame alone."""
        if self.window.count:
            self.resets += 1
        self.window.reset()


class Lap:
    """Fills a dict of stage durations, each from the end of the one before."""

    def __init__(self, t_ns: int, stages: dict[str, int]):
        self.t_ns, self.stages = t_ns, stages

    def end(self, stage: str) -> None:
        now = time.monotonic_ns()
        self.stages[stage] = now - self.t_ns
        self.t_ns = now


def load_estimator(setup: RunSetup) -> PoseEstimator:
    """The estimator of a run. Raises EgostreamError when the engine does not fit."""
    engine, manifest = load_engine(setup.engine, setup.engine_fields, setup.config.threads)
    return PoseEstimator(engine, manifest, setup.weights.step_ns, Rectifier(setup.weights.input, setup.camera))
