"""Poses of a network without a backbone: heatmaps of the frame, then motion from the body's keypoints, on every frame.

    frame -> ``look`` engine -> heatmaps -> keypoints' rays, by the camera's lens -> ``body`` engine -> joints, sigma
                                                              what is told of it ---^

The first runs on a processor or a GPU (``look.py``), the second on a processor: it costs a small part of the first. The
rays are those of the canonical camera's axes, so that the second knows no lens. It keeps what it needs of the past as
keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np

from egostream.calibration.view import CameraView
from egostream.infer.batch import Batch, EnginesBySize, Lap, bound, chunks, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.look import Look
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


@dataclass(frozen=True)
class Seen:
    """A frame that was looked at."""

    number: int  # of its stream
    frame: NetworkInput
    lap: Lap
    where: Directions
    told: Told
    is_finite: bool  # off: the network failed, and what lies here means nothing


class BodyEstimator(Estimator):
    """Looks at the frames of one or several streams, and runs ``body`` engines over their causal windows.

    looks: runs the heatmaps' network. Several frames are split into the largest batches that it can look at, and those
    into the largest that there are engines for. refiners: one for each stream, or None for joints as the network gives
    them. tellers: one for each stream, or None: nothing is known but the wearers' statures.
    """

    motion = "every-frame"

    def __init__(
        self,
        looks: Look,
        body_engines: EnginesBySize,
        step_ns: int,
        views: Sequence[CameraView],
        refiners: Sequence[Refiner] | None = None,
        tellers: Sequence[Teller] | None = None,
    ):
        self.looks, self.body_engines = looks, bound(body_engines)
        self.most_at_once, self.manifest = max(looks.sizes), looks.manifest
        body_manifest = body_engines[1][1]
        self.streams, self.step_ns = stream_states(body_manifest.window, step_ns, views, refiners), step_ns
        self.tellers = list(tellers or [TellsNothing()] * len(self.streams))
        inputs = self.body_engines[1][1]
        self.memories = [memory_for(body_manifest.temporal, inputs, stream.window) for stream in self.streams]

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready."""
        for batch in chunks(list(frames.items()), self.looks.sizes):
            for part in chunks(self.look_at(batch), self.body_engines):
                yield from self.poses_of(part)

    def catch_up(self) -> None:
        """Nothing is left to do between poses: motion came with each."""

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        return self.looks.at([image])[0]

    def look_at(self, batch: Batch) -> list[Seen]:
        """Look at one batch, of a size that can be looked at together."""
        laps = [Lap(frame) for _, frame in batch]
        for number, frame in batch:
            self.streams[number].enter(frame)
        end_all(laps, Stage.WINDOW)
        seen = []
        for (number, frame), lap, peaks in zip(batch, laps, self.looks.at([frame.image for _, frame in batch])):
            where, told = self.streams[number].directions(*peaks), self.told(number, frame.t_capture_ns)
            seen.append(Seen(number, frame, lap, where, told, all(map(is_finite, peaks))))
        return seen

    def told(self, number: int, t_ns: int) -> Told:
        """What is known of a stream's frame beside its picture: by its teller, else its wearer's stature."""
        told, stature_m = self.tellers[number].tells(t_ns, self.step_ns), self.streams[number].stature_m
        is_more = stature_m and told.stature is msgspec.UNSET
        return msgspec.structs.replace(told, stature=stature_m) if is_more else told

    def poses_of(self, batch: list[Seen]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of frames that were looked at, as many as there is an engine for."""
        outputs = self.run_body(batch)
        end_all([one.lap for one in batch], Stage.NETWORK)
        for place, one in enumerate(batch):
            joints, sigma = outputs["joints"][place], outputs["sigma"][place].copy()
            if not one.is_finite:
                joints = np.full_like(joints, np.nan)  # without a keypoint, they are a guess
            known = None if one.told.is_empty else one.told
            pose = self.streams[one.number].pose_along(one.frame, joints, one.where, one.lap, sigma, known)
            yield one.number, pose

    def run_body(self, batch: list[Seen]) -> dict[str, np.ndarray]:
        """Outputs of the body engine for keypoints that lie there; what it made is kept, unless it is no number."""
        engine, inputs = self.body_engines[len(batch)]
        for place, one in enumerate(batch):
            self.memories[one.number].gather(one.frame.t_capture_ns, inputs, place)
            inputs["told"][place] = one.told.vector()
            inputs["rays"][place] = one.where.rays
            inputs["confidence"][place] = one.where.trust
        outputs = engine.run()
        for place, one in enumerate(batch):
            if one.is_finite and is_finite(outputs["joints"][place]):
                self.memories[one.number].keep(one.frame.t_capture_ns, outputs, place)
                self.streams[one.number].took_motion(one.frame.seq)
        return outputs
