"""Frames in, poses out ahead of their motion: the motion graph runs between poses, once per trained step.

The motion feature says what the wearer is doing, from frames a trained step apart (67 ms, of the shipped weights), and
computing it is more than half of a frame's work. A pose need not wait for that of its own frame: it takes the newest
there is, and when it is out, the frame's own is computed if a step has passed. What a frame shows still reaches its pose
at once, through the heatmaps and tokens. Motion must cost no frame: it is computed in parts, each where no frame is
waiting, and one after each pose only where it would else get older than a quarter of the window. Recordings of which
every frame is wanted are never live_streams: they have theirs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from egostream.calibration.view import CameraView
from egostream.engine.contract import Engine, EngineManifest
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.batch import bound, chunks, end_all, is_finite, lap_from
from egostream.infer.memory import memory_for
from egostream.infer.motion_turn import OLDEST, OLDEST_STEPS, MotionTurn
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose

#: A frame that was taken within this time came when there was nothing else to do.
PROMPT_NS = 2_000_000

Batch = list[tuple[int, NetworkInput]]
Engines = dict[int, tuple[Engine, EngineManifest]]


class TrainedStepEstimator:
    """The same as ``pose.EveryFrameEstimator``, from two engines per batch size: ``pose`` and ``motion``."""

    motion = "trained-step"

    def __init__(
        self, poses: Engines, motions: Engines, step_ns: int, views: list[CameraView], refiners: list[Refiner] | None = None,
        live_streams: Collection[int] = (), busy: Callable[[], bool] = lambda: False,
    ):  # fmt: skip
        """live_streams: streams that lose frames which are not taken in time. busy: whether one of theirs is waiting."""
        self.live_streams, self.busy = live_streams, busy
        self.poses, self.motions = bound(poses), bound(motions)
        self.most_at_once = max(poses)
        self.manifest, moving = poses[1][1], motions[1][1]
        self.streams = stream_states(moving.window, step_ns, views, refiners)
        oldest_ns = round(max(OLDEST * moving.window, OLDEST_STEPS) * step_ns)
        self.turns = [MotionTurn(step_ns, oldest_ns, moving.outputs["motion"][1][-1]) for _ in self.streams]
        self.memories = [memory_for(moving.temporal, self.motions[1][1], stream.window) for stream in self.streams]
        self.newest: dict[int, NetworkInput] = {}  # each stream's last frame
        self.begun: BegunMotion | None = None
        self.is_idle = True

    def estimate(self, frame: NetworkInput) -> Pose:
        """The pose of the only stream's next frame, from it and the kept past."""
        ((_, pose),) = self.estimate_batch({0: frame})
        return pose

    def estimate_batch(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready. frames: by number of their stream, the most urgent first.

        Go on until it ends: what motion is due, of these frames or those before, comes last.
        """
        # Not being busy is not enough: where there are too many frames, those to come are still being decoded.
        self.is_idle = not frames or any(frame.stages_ns.get("handover", 0) < PROMPT_NS for frame in frames.values())
        for batch in chunks(list(frames.items()), self.poses):
            yield from self.run_poses(batch)
        self.newest |= frames
        self.run_motions(
            [(number, frame) for number, frame in self.due() if number not in self.live_streams], anew=False
        )
        while self.go_on():
            pass

    def run_poses(self, batch: Batch) -> Iterator[tuple[int, Pose]]:
        engine, inputs = self.poses[len(batch)]
        laps = [lap_from(frame) for _, frame in batch]
        for number, frame in batch:
            self.streams[number].enter(frame)
            self.turns[number].saw(frame.t_capture_ns, self.streams[number].window.newest_ns)
        end_all(laps, "window")
        if any(self.needs_own(number) for number, _ in batch):
            self.finish_begun()  # which may be all that was missing
            self.run_motions([(number, frame) for number, frame in batch if self.needs_own(number)], anew=True)
        for place, (number, frame) in enumerate(batch):
            inputs["frame"][place] = frame.image
            inputs["motion"][place] = self.turns[number].motion
        outputs = engine.run()
        end_all(laps, "network")
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            joints = outputs["joints"][place]
            if not is_finite(self.turns[number].motion):
                joints = np.full_like(joints, np.nan)  # a ReLU may have made something like a pose of it
            if is_finite(joints):
                self.streams[number].window.newest_ns = frame.t_capture_ns
            peaks, confidence = heatmap_peaks(outputs["heatmaps"][place])
            yield number, self.streams[number].pose(frame, joints, peaks, confidence, lap)

    def needs_own(self, number: int) -> bool:
        """Whether a pose must wait for its own frame's motion: there is no other, or only an old one."""
        turn = self.turns[number]
        return self.streams[number].window.count == 0 or turn.is_old() or not is_finite(turn.motion)

    def due(self) -> Batch:
        """Whose motion is to be computed, but for what is begun: streams and their newest frames, the oldest motion first."""
        begun = [number for number, _ in self.begun.batch] if self.begun else []
        due = [
            (number, frame)
            for number, frame in self.newest.items()
            if number not in begun
            and self.turns[number].is_due(frame.t_capture_ns)
            and self.streams[number].window.newest_ns
            == frame.t_capture_ns  # it gave a pose, and no reset came after it
        ]
        return sorted(due, key=lambda one: self.turns[one[0]].taken_ns)

    def run_motions(self, batch: Batch, anew: bool) -> None:
        """Compute motion in one go."""
        if batch:
            self.finish_begun()  # which uses the same engines
        for chunk in chunks(batch, self.motions):
            for _ in self.motion_parts(chunk, anew):
                pass

    def go_on(self) -> bool:
        """Compute one more part of what motion is due, if there is any and time for it."""
        self.drop_forgotten()
        if self.begun:
            if (
                self.busy()
                and not self.is_pressing(self.begun.batch, self.begun.left)
                and not self.is_pressing(self.due(), 1 + self.begun.left)
            ):
                return False
        elif batch := self.next_batch():
            self.begun = BegunMotion(batch, self.motion_parts(batch, anew=False))
        else:
            return False
        self.begun.left = next(self.begun.parts)
        if not self.begun.left:
            self.begun = None
        return True

    def next_batch(self) -> Batch:
        """Whose motion to begin: of all that have no time left, or else, where nobody waits, of one after the other."""
        due = self.due()
        pressing = [one for one in due if self.is_pressing([one], 1)]
        return next(chunks(pressing or due[: self.is_idle and not self.busy()], self.motions), [])

    def is_pressing(self, batch: Batch, left: float) -> bool:
        """Whether the motion of one of these, of which such a part is left, must go on though others wait."""
        return any(self.turns[number].is_pressing(left) for number, _ in batch)

    def drop_forgotten(self) -> None:
        """Leave off what had begun for streams that were all reset since."""
        if self.begun and all(self.streams[number].window.newest_ns is None for number, _ in self.begun.batch):
            self.begun = None

    def finish_begun(self) -> None:
        self.drop_forgotten()
        for _ in self.begun.parts if self.begun else ():
            pass
        self.begun = None

    def motion_parts(self, batch: Batch, anew: bool) -> Iterator[float]:
        """Compute motion, a part each time that it is asked for the next; how much is left. anew: steps are counted from these frames on."""
        engine, inputs = self.motions[len(batch)]
        for place, (number, frame) in enumerate(batch):
            self.memories[number].gather(frame.t_capture_ns, inputs, place)
            inputs["frame"][place] = frame.image
        for done, outputs in enumerate(engine.run_parts(), 1):
            if outputs is not None:
                self.take_motions(batch, outputs, anew)
            yield 1 - done / engine.parts

    def take_motions(self, batch: Batch, outputs: dict[str, np.ndarray], anew: bool) -> None:
        for place, (number, frame) in enumerate(batch):
            if not anew and self.streams[number].window.newest_ns is None:
                continue  # a reset came between its parts
            motion = outputs["motion"][place]
            self.turns[number].took(frame.t_capture_ns, motion, anew)
            if is_finite(motion):
                self.memories[number].keep(frame.t_capture_ns, outputs, place)


@dataclass
class BegunMotion:
    """Motion in the making, and how much of it is left."""

    batch: Batch
    parts: Iterator[float]
    left: float = 1.0
