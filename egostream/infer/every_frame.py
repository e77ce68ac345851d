"""Frames in, poses out: the step engine with each stream's memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from egostream.capture.rectify import Rectifier
from egostream.engine.contract import Engine, EngineManifest
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.memory import memory_for
from egostream.infer.refine import Finish
from egostream.infer.window import CausalWindow
from egostream.types import NetworkInput, Pose


class StreamWindow:
    """One stream's causal window, lens and finish. ``resets`` counts how often continuity ended."""

    def __init__(self, window: CausalWindow, rectifier: Rectifier, finish: Finish):
        self.window, self.rectifier, self.finish = window, rectifier, finish
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
        self.finish.reset()

    def pose(self, frame: NetworkInput, joints, peaks, confidence, lap: Lap) -> Pose:
        """The pose of what the network made of a frame: joints [15, 3], heatmap peaks [15, 2] and their height [15]."""
        keypoints, seen = self.rectifier.keypoints_in_camera(peaks)
        confidence = np.where(seen, confidence, 0.0)
        rays, known = self.rectifier.rays(peaks)
        joints = self.finish(frame.t_capture_ns, joints, rays, np.where(known, confidence, 0.0)) if is_finite(joints) else joints.copy()
        lap.end("keypoints")
        return Pose(frame.seq, frame.t_capture_ns, joints, keypoints, confidence, lap.stages, lap.t_ns)


def stream_windows(slots: int, step_ns: int, rectifiers: list[Rectifier], finishes: list[Finish] | None) -> list[StreamWindow]:
    """One for each rectifier."""
    pairs = zip(rectifiers, finishes or [Finish() for _ in rectifiers])
    return [StreamWindow(CausalWindow(slots, step_ns), *pair) for pair in pairs]


class PoseEstimator:
    """Runs step engines over the causal windows of one or several streams.

    engines: by batch size, one of them 1. Several frames are split into the largest batches there are. finishes: one for each
    stream, or None for joints as the network gives them.
    """

    motion = "every-frame"

    def __init__(
        self,
        engines: dict[int, tuple[Engine, EngineManifest]],
        step_ns: int,
        rectifiers: list[Rectifier],
        finishes: list[Finish] | None = None,
    ):
        self.runners = bound(engines)
        self.most_at_once = max(engines)
        self.manifest = manifest = engines[1][1]
        self.streams = stream_windows(manifest.window, step_ns, rectifiers, finishes)
        self.memories = [memory_for(manifest.temporal, self.runners[1][1], stream.window) for stream in self.streams]

    def estimate(self, frame: NetworkInput) -> Pose:
        """The pose of the only stream's next frame, from it and the kept past."""
        return next(self.estimate_batch({0: frame}))[1]

    def estimate_batch(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready. frames: by number of their stream, the most urgent first."""
        for batch in chunks(list(frames.items()), self.runners):
            yield from self.run_batch(batch)

    def run_batch(self, batch: list[tuple[int, NetworkInput]]) -> Iterator[tuple[int, Pose]]:
        engine, inputs = self.runners[len(batch)]
        laps = [lap_from(frame) for _, frame in batch]
        for place, (number, frame) in enumerate(batch):
            self.streams[number].enter(frame)
            self.memories[number].gather(frame.t_capture_ns, inputs, place)
            inputs["frame"][place] = frame.image
        end_all(laps, "window")
        outputs = engine.run()
        end_all(laps, "network")
        for place, (number, frame) in enumerate(batch):
            if is_finite(outputs["joints"][place]):
                self.memories[number].keep(frame.t_capture_ns, outputs, place)
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            peaks, confidence = heatmap_peaks(outputs["heatmaps"][place])
            yield number, self.streams[number].pose(frame, outputs["joints"][place], peaks, confidence, lap)


def bound(engines: dict[int, tuple[Engine, EngineManifest]]) -> dict[int, tuple[Engine, dict[str, np.ndarray]]]:
    """Each engine with arrays that it reads its inputs from."""
    runners = {}
    for size, (engine, manifest) in engines.items():
        runners[size] = engine, {name: np.zeros(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()}
        engine.bind(runners[size][1])
    return runners


def chunks(waiting: list, sizes: Iterable[int]) -> Iterator[list]:
    """A list in pieces, each as large as the sizes allow; 1 is among them."""
    while waiting:
        size = max(size for size in sizes if size <= len(waiting))
        yield waiting[:size]
        waiting = waiting[size:]


def is_finite(values: np.ndarray) -> bool:
    """Whether a pose is one. What made another must not be kept: no mask hides a NaN, it would spoil every pose after it."""
    return bool(np.isfinite(values).all())


def end_all(laps: list[Lap], stage: str) -> None:
    for lap in laps:
        lap.end(stage)


class Lap:
    """Fills a dict of stage durations, each from the end of the one before."""

    def __init__(self, t_ns: int, stages: dict[str, int]):
        self.t_ns, self.stages = t_ns, stages

    def end(self, stage: str) -> None:
        now = time.monotonic_ns()
        self.stages[stage] = now - self.t_ns
        self.t_ns = now


def lap_from(frame: NetworkInput) -> Lap:
    """Stages of a frame from now on: what it waited since it was taken from the ring (for others, for a batch before) is hand-over."""
    lap = Lap(time.monotonic_ns(), dict(frame.stages_ns))
    if "handover" in lap.stages:
        lap.stages["handover"] += lap.t_ns - frame.t_done_ns
    return lap
