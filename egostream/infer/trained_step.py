"""``--motion trained-step`` on a processor: poses do not wait for motion, which is computed between them.

Motion says what the wearer is doing: one vector of 384 numbers, from frames a trained step apart (67 ms, of the shipped
weights). Computing it is more than half of a frame's work. A pose takes the newest motion there is. When the pose is
out, its frame's own motion is computed, if a step has passed. What a frame shows still reaches its pose at once,
through the heatmaps and tokens.

Computing motion must not make a frame be dropped. It is computed in parts, each where no frame is waiting;
``motion_turn`` says when it must go on all the same. Recordings of which every frame is wanted have their motion at
once: they lose nothing by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from egostream.calibration.view import CameraView
from egostream.graph.peaks import heatmap_peaks
from egostream.infer.batch import Batch, EnginesBySize, Lap, bound, chunks, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.memory import memory_for
from egostream.infer.motion_turn import MotionTurn, oldest_motion_ns
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose, Stage

#: A frame that was taken within this time met an idle process. One that met a running part of motion waited for its
#: end, 5 ms in int8. Chosen by hand, between the two.
PROMPT_NS = 2_000_000


@dataclass
class BegunMotion:
    """Motion in the making: whose, its parts still to come, and how much of it is left."""

    batch: Batch
    parts: Iterator[float]
    left: float = 1.0


class TrainedStepEstimator(Estimator):
    """Runs a ``pose`` engine for every batch of frames and a ``motion`` engine between them.

    live_streams: numbers of those that lose frames which are not taken in time. is_frame_waiting: whether one of theirs
    has a frame in its ring. refiners: one for each stream, or None for joints as the network gives them.
    """

    motion = "trained-step"

    def __init__(
        self,
        pose_engines: EnginesBySize,
        motion_engines: EnginesBySize,
        step_ns: int,
        views: Sequence[CameraView],
        refiners: Sequence[Refiner] | None = None,
        live_streams: Collection[int] = (),
        is_frame_waiting: Callable[[], bool] = lambda: False,
    ):
        self.live_streams, self.is_frame_waiting = live_streams, is_frame_waiting
        self.pose_engines, self.motion_engines = bound(pose_engines), bound(motion_engines)
        self.most_at_once = max(pose_engines)
        self.manifest, motion_manifest = pose_engines[1][1], motion_engines[1][1]
        self.streams = stream_states(motion_manifest.window, step_ns, views, refiners)
        oldest_ns, channels = (
            oldest_motion_ns(motion_manifest.window, step_ns),
            motion_manifest.outputs["motion"][1][-1],
        )
        self.turns = [MotionTurn(step_ns, oldest_ns, channels) for _ in self.streams]
        inputs = self.motion_engines[1][1]
        self.memories = [memory_for(motion_manifest.temporal, inputs, stream.window) for stream in self.streams]
        self.newest: dict[int, NetworkInput] = {}  # each stream's last frame
        self.begun: BegunMotion | None = None
        self.is_idle = True

    # -- poses -------------------------------------------------------------------------------------------------------

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready."""
        # An empty ring is no proof of spare time: an overloaded machine may still be decoding. A frame taken at once
        # is.
        self.is_idle = not frames or any(is_prompt(frame) for frame in frames.values())
        self.newest |= frames
        for batch in chunks(list(frames.items()), self.pose_engines):
            yield from self.run_poses(batch)

    def run_poses(self, batch: Batch) -> Iterator[tuple[int, Pose]]:
        """Run one batch, of a size that there is an engine for."""
        engine, inputs = self.pose_engines[len(batch)]
        laps = [Lap(frame) for _, frame in batch]
        for number, frame in batch:
            self.streams[number].enter(frame)
            self.turns[number].saw(frame.t_capture_ns, self.streams[number].window.newest_ns)
        end_all(laps, Stage.WINDOW)
        self.compute_missing(batch)
        for place, (number, frame) in enumerate(batch):
            inputs["frame"][place] = frame.image
            inputs["motion"][place] = self.turns[number].motion
        outputs = engine.run()
        end_all(laps, Stage.NETWORK)
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            joints = outputs["joints"][place]
            if not is_finite(self.turns[number].motion):
                joints = np.full_like(joints, np.nan)  # a ReLU may have made something like a pose of it
            if is_finite(joints):
                self.streams[number].window.saw(frame.t_capture_ns)
            peaks, heights = heatmap_peaks(outputs["heatmaps"][place])
            yield number, self.streams[number].pose(frame, joints, peaks, heights, lap)

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        engine, inputs = self.pose_engines[1]
        inputs["frame"][0] = image
        return heatmap_peaks(engine.run()["heatmaps"][0])

    def compute_missing(self, batch: Batch) -> None:
        """Compute the motion that poses of a batch must wait for, if any must."""
        if any(self.must_wait(number) for number, _ in batch):
            self.finish_begun()  # which may be all that was missing
            self.run_motions([(number, frame) for number, frame in batch if self.must_wait(number)], restart_steps=True)

    def must_wait(self, number: int) -> bool:
        """Whether a pose must wait for its own frame's motion: there is no other, or only one that is too old."""
        turn = self.turns[number]
        return self.streams[number].window.count == 0 or turn.is_old() or not is_finite(turn.motion)

    # -- motion ------------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Compute what motion is due: all of it for recordings, for live streams as much as there is time for."""
        recorded = [(number, frame) for number, frame in self.due() if number not in self.live_streams]
        self.run_motions(recorded, restart_steps=False)
        while self.run_part():
            pass

    def due(self) -> Batch:
        """Streams whose motion is due and not begun, with their newest frames; the oldest motion first."""
        begun = [number for number, _ in self.begun.batch] if self.begun else []
        due = [(number, frame) for number, frame in self.newest.items() if number not in begun and self.is_due(number)]
        return sorted(due, key=lambda one: self.turns[one[0]].taken_ns)

    def is_due(self, number: int) -> bool:
        """Whether the motion of a stream's newest frame is due: it gave a pose, and no reset came after it."""
        t_ns = self.newest[number].t_capture_ns
        return self.turns[number].is_due(t_ns) and self.streams[number].window.newest_ns == t_ns

    def run_part(self) -> bool:
        """Compute one more part of what motion is due. False: nothing is due, or there is no time for it."""
        self.drop_forgotten()
        if self.begun is None:
            if not (batch := self.next_batch()):
                return False
            self.begun = BegunMotion(batch, self.motion_parts(batch, restart_steps=False))
        elif self.is_frame_waiting() and not self.must_go_on(self.begun):
            return False
        self.begun.left = next(self.begun.parts)
        if not self.begun.left:
            self.begun = None
        return True

    def must_go_on(self, begun: BegunMotion) -> bool:
        """Whether begun motion must go on though a frame waits: it presses, or what waits for it does."""
        return self.any_pressing(begun.batch, begun.left) or self.any_pressing(self.due(), 1 + begun.left)

    def any_pressing(self, batch: Batch, work_left: float) -> bool:
        """Whether the motion of one of these, ``work_left`` of it to be computed, must go on though frames wait."""
        return any(self.turns[number].is_pressing(work_left) for number, _ in batch)

    def next_batch(self) -> Batch:
        """The batch to begin: all pressing streams; else, where nobody waits, the one with the oldest motion."""
        due = self.due()
        chosen = [one for one in due if self.any_pressing([one], 1)]
        if not chosen and self.is_idle and not self.is_frame_waiting():
            chosen = due[:1]
        return next(chunks(chosen, self.motion_engines), [])

    def drop_forgotten(self) -> None:
        """Leave off what had begun for streams that were all reset since."""
        if self.begun and all(self.streams[number].window.newest_ns is None for number, _ in self.begun.batch):
            self.begun = None

    def finish_begun(self) -> None:
        """Compute what is left of begun motion."""
        self.drop_forgotten()
        if self.begun:
            for _ in self.begun.parts:
                pass
        self.begun = None

    def run_motions(self, batch: Batch, restart_steps: bool) -> None:
        """Compute motion in one go."""
        if batch:
            self.finish_begun()  # which uses the same engines
        for chunk in chunks(batch, self.motion_engines):
            for _ in self.motion_parts(chunk, restart_steps):
                pass

    def motion_parts(self, batch: Batch, restart_steps: bool) -> Iterator[float]:
        """Compute motion, a part each time that it is asked for the next; yields how much is left.

        restart_steps: steps are counted from these frames on.
        """
        engine, inputs = self.motion_engines[len(batch)]
        for place, (number, frame) in enumerate(batch):
            self.memories[number].gather(frame.t_capture_ns, inputs, place)
            inputs["frame"][place] = frame.image
        for done, outputs in enumerate(engine.run_parts(), 1):
            if outputs is not None:
                self.take_motions(batch, outputs, restart_steps)
            yield 1 - done / engine.parts

    def take_motions(self, batch: Batch, outputs: dict[str, np.ndarray], restart_steps: bool) -> None:
        """Keep what the motion engine made, but of streams that were reset between its parts."""
        for place, (number, frame) in enumerate(batch):
            if not restart_steps and self.streams[number].window.newest_ns is None:
                continue
            motion = outputs["motion"][place]
            self.turns[number].took(frame.t_capture_ns, motion, restart_steps)
            self.streams[number].took_motion(frame.seq)
            if is_finite(motion):
                self.memories[number].keep(frame.t_capture_ns, outputs, place)


def is_prompt(frame: NetworkInput) -> bool:
    """Whether a frame was taken as soon as it was there."""
    return frame.stages_ns.get(Stage.HANDOVER, 0) < PROMPT_NS
