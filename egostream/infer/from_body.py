"""Poses of a network without a backbone: heatmaps of the frame, then motion from the body's keypoints, on every frame.

    frame -> ``look`` engine -> heatmaps -> keypoints' rays, by the camera's lens -> ``body`` engine -> joints, sigma
                                                              what is told of it ---^

The rays are those of the canonical camera's axes, so that the second engine knows no lens. It costs a small part of
the first, and keeps what it needs of the past as keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np

from egostream.calibration.view import CameraView
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.batch import Batch, EnginesBySize, Lap, bound, chunks, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.memory import memory_for
from egostream.infer.refine import Refiner
from egostream.infer.stream import Directions, stream_states
from egostream.told import NOTHING, Told
from egostream.types import NetworkInput, Pose, Stage


class Teller(Protocol):
    """Whoever knows of a stream's frames what no picture shows."""

    def tells(self, t_ns: int, step_ns: int) -> Told:
        """What is known of the frame captured at ``t_ns``. Motion counts since ``step_ns`` before."""


class TellsNothing:
    """The ``Teller`` of a camera that nobody knows anything of."""

    def tells(self, t_ns: int, step_ns: int) -> Told:
        """Nothing."""
        return NOTHING


class BodyEstimator(Estimator):
    """Runs ``look`` and ``body`` engines over the causal windows of one or several streams.

    Several frames are split into the largest batches there are. refiners: one for each stream, or None for joints as
    the network gives them. tellers: one for each stream, or None: nothing is known but the wearers' statures.
    """

    motion = "every-frame"

    def __init__(
        self,
        look_engines: EnginesBySize,
        body_engines: EnginesBySize,
        step_ns: int,
        views: Sequence[CameraView],
        refiners: Sequence[Refiner] | None = None,
        tellers: Sequence[Teller] | None = None,
    ):
        self.look_engines, self.body_engines = bound(look_engines), bound(body_engines)
        self.most_at_once = max(look_engines)
        self.manifest, body_manifest = look_engines[1][1], body_engines[1][1]
        self.streams, self.step_ns = stream_states(body_manifest.window, step_ns, views, refiners), step_ns
        self.tellers = list(tellers or [TellsNothing()] * len(self.streams))
        inputs = self.body_engines[1][1]
        self.memories = [memory_for(body_manifest.temporal, inputs, stream.window) for stream in self.streams]

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready."""
        for batch in chunks(list(frames.items()), self.look_engines):
            yield from self.run_batch(batch)

    def catch_up(self) -> None:
        """Nothing is left to do between poses: motion came with each."""

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        engine, inputs = self.look_engines[1]
        inputs["frame"][0] = image
        return heatmap_peaks(engine.run()["heatmaps"][0])

    def run_batch(self, batch: Batch) -> Iterator[tuple[int, Pose]]:
        """Run one batch, of a size that there are engines for."""
        engine, inputs = self.look_engines[len(batch)]
        laps = [Lap(frame) for _, frame in batch]
        for place, (number, frame) in enumerate(batch):
            self.streams[number].enter(frame)
            inputs["frame"][place] = frame.image
        end_all(laps, Stage.WINDOW)
        heatmaps = engine.run()["heatmaps"]
        seen = [
            self.streams[number].directions(*heatmap_peaks(heatmaps[place])) for place, (number, _) in enumerate(batch)
        ]
        told = [self.told(number, frame.t_capture_ns) for number, frame in batch]
        outputs = self.run_body(batch, seen, told)
        end_all(laps, Stage.NETWORK)
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            sigma = outputs["sigma"][place].copy()
            known = None if told[place].is_empty else told[place]
            joints = outputs["joints"][place]
            yield number, self.streams[number].pose_along(frame, joints, seen[place], lap, sigma, known)

    def told(self, number: int, t_ns: int) -> Told:
        """What is known of a stream's frame beside its picture: by its teller, and its wearer's stature."""
        told, stature_m = self.tellers[number].tells(t_ns, self.step_ns), self.streams[number].stature_m
        return msgspec.structs.replace(told, stature=stature_m) if stature_m else told

    def run_body(self, batch: Batch, seen: list[Directions], told: list[Told]) -> dict[str, np.ndarray]:
        """Outputs of the body engine for keypoints that lie there; what it made is kept, unless it is no number."""
        engine, inputs = self.body_engines[len(batch)]
        for place, ((number, frame), directions) in enumerate(zip(batch, seen)):
            self.memories[number].gather(frame.t_capture_ns, inputs, place)
            inputs["told"][place] = told[place].vector()
            inputs["rays"][place] = directions.rays
            inputs["confidence"][place] = directions.trust
        outputs = engine.run()
        for place, (number, frame) in enumerate(batch):
            if is_finite(outputs["joints"][place]):
                self.memories[number].keep(frame.t_capture_ns, outputs, place)
                self.streams[number].took_motion(frame.seq)
        return outputs
