"""``--motion every-frame`` on a processor: one engine holds a frame's whole step, motion included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from egostream.calibration.view import CameraView
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.batch import Batch, EnginesBySize, Lap, bound, chunks, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.memory import memory_for
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose, Stage


class EveryFrameEstimator(Estimator):
    """Runs step engines over the causal windows of one or several streams.

    Several frames are split into the largest batches there are. refiners: one for each stream, or None for joints as
    the network gives them.
    """

    motion = "every-frame"

    def __init__(
        self,
        engines: EnginesBySize,
        step_ns: int,
        views: Sequence[CameraView],
        refiners: Sequence[Refiner] | None = None,
    ):
        self.runners = bound(engines)
        self.most_at_once = max(engines)
        self.manifest = manifest = engines[1][1]
        self.streams = stream_states(manifest.window, step_ns, views, refiners)
        self.memories = [memory_for(manifest.temporal, self.runners[1][1], stream.window) for stream in self.streams]

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready."""
        for batch in chunks(list(frames.items()), self.runners):
            yield from self.run_batch(batch)

    def catch_up(self) -> None:
        """Nothing is left to do between poses: motion came with each."""

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        engine, inputs = self.runners[1]
        inputs["frame"][0] = image
        return heatmap_peaks(engine.run()["heatmaps"][0])

    def run_batch(self, batch: Batch) -> Iterator[tuple[int, Pose]]:
        """Run one batch, of a size that there is an engine for."""
        engine, inputs = self.runners[len(batch)]
        laps = [Lap(frame) for _, frame in batch]
        for place, (number, frame) in enumerate(batch):
            self.streams[number].enter(frame)
            self.memories[number].gather(frame.t_capture_ns, inputs, place)
            inputs["frame"][place] = frame.image
        end_all(laps, Stage.WINDOW)
        outputs = engine.run()
        end_all(laps, Stage.NETWORK)
        for place, (number, frame) in enumerate(batch):
            if is_finite(outputs["joints"][place]):
                self.memories[number].keep(frame.t_capture_ns, outputs, place)
                self.streams[number].took_motion(frame.seq)
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            peaks, heights = heatmap_peaks(outputs["heatmaps"][place])
            yield number, self.streams[number].pose(frame, outputs["joints"][place], peaks, heights, lap)
