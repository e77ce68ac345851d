"""Frames in, poses out: the step engine with each stream's memory."""

from __future__ import annotations

from collections.abc import Iterator

from egostream.calibration.view import CameraView
from egostream.engine.contract import Engine, EngineManifest
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.batch import bound, chunks, end_all, is_finite, lap_from
from egostream.infer.memory import memory_for
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose


class EveryFrameEstimator:
    """Runs step engines over the causal windows of one or several streams.

    engines: by batch size, one of them 1. Several frames are split into the largest batches there are. refiners: one for each
    stream, or None for joints as the network gives them.
    """

    motion = "every-frame"

    def __init__(
        self,
        engines: dict[int, tuple[Engine, EngineManifest]],
        step_ns: int,
        views: list[CameraView],
        refiners: list[Refiner] | None = None,
    ):
        self.runners = bound(engines)
        self.most_at_once = max(engines)
        self.manifest = manifest = engines[1][1]
        self.streams = stream_states(manifest.window, step_ns, views, refiners)
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
