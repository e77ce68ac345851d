"""Frames in, poses out ahead of their motion: the motion graph runs between poses, once per trained step.

The motion feature says what the wearer is doing, from frames a trained step apart (67 ms, of the shipped weights), and
computing it is more than half of a frame's work. A pose need not wait for that of its own frame: it takes the newest
there is, and when it is out, the frame's own is computed if a step has passed. What a frame shows still reaches its pose
at once, through the heatmaps and tokens. Motion must cost no frame: where the next is waiting, or those since the last
motion have been late, it is put off, until it is a quarter of the window old.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np

from egostream.engine import Engine, EngineManifest
from egostream.finish import Finish
from egostream.keypoints import heatmap_peaks
from egostream.memory import memory_for
from egostream.pose import bound, chunks, end_all, is_finite, lap_from, stream_windows
from egostream.rectify import Rectifier
from egostream.types import NetworkInput, Pose

#: Part of the window's span, but two steps at least. Poses take no motion that is older: they wait for that of their own frame.
OLDEST, OLDEST_STEPS = 0.25, 2
#: A frame that was taken within this time came when there was nothing else to do.
PROMPT_NS = 2_000_000

Batch = list[tuple[int, NetworkInput]]
Engines = dict[int, tuple[Engine, EngineManifest]]


class AheadEstimator:
    """The same as ``pose.PoseEstimator``, from two engines per batch size: ``pose`` and ``motion``."""

    motion = "trained-step"

    def __init__(
        self, poses: Engines, motions: Engines, step_ns: int, rectifiers: list[Rectifier], finishes: list[Finish] | None = None,
        hurried: Collection[int] = (), busy: Callable[[], bool] = lambda: False,
    ):  # fmt: skip
        """hurried: streams that lose frames which are not taken in time. busy: whether one of theirs is waiting."""
        self.hurried, self.busy, self.caught_up = hurried, busy, True
        self.poses, self.motions = bound(poses), bound(motions)
        self.most_at_once = max(poses)
        self.manifest, moving = poses[1][1], motions[1][1]
        self.streams = stream_windows(moving.window, step_ns, rectifiers, finishes)
        oldest_ns = round(max(OLDEST * moving.window, OLDEST_STEPS) * step_ns)
        self.turns = [MotionTurn(step_ns, oldest_ns, moving.outputs["motion"][1][-1]) for _ in self.streams]
        self.memories = [memory_for(moving.temporal, self.motions[1][1], stream.window) for stream in self.streams]
        self.put_off: dict[int, NetworkInput] = {}  # each stream's frame whose motion is still to be computed

    def estimate(self, frame: NetworkInput) -> Pose:
        """The pose of the only stream's next frame, from it and the kept past."""
        ((_, pose),) = self.estimate_batch({0: frame})
        return pose

    def estimate_batch(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame, as they get ready. frames: by number of their stream, the most urgent first.

        Go on until it ends: what motion is due, of these frames or put off before, comes last.
        """
        self.caught_up |= not frames or any(frame.stages_ns.get("handover", 0) < PROMPT_NS for frame in frames.values())
        for batch in chunks(list(frames.items()), self.poses):
            yield from self.run_poses(batch)
        self.put_off |= {number: frame for number, frame in frames.items() if self.turns[number].is_due(frame.t_capture_ns)}
        # What a newer frame or a reset came after is no longer the stream's to compute.
        self.put_off = {n: frame for n, frame in self.put_off.items() if self.streams[n].window.newest_ns == frame.t_capture_ns}
        now = [(n, frame) for n, frame in self.put_off.items() if self.is_time(n, frame)]
        self.run_motions(now, anew=False)
        for number, _ in now:
            del self.put_off[number]

    def run_poses(self, batch: Batch) -> Iterator[tuple[int, Pose]]:
        engine, inputs = self.poses[len(batch)]
        laps = [lap_from(frame) for _, frame in batch]
        for number, frame in batch:
            self.streams[number].enter(frame)
            self.turns[number].saw(frame.t_capture_ns, self.streams[number].window.newest_ns)
        end_all(laps, "window")
        self.run_motions([(number, frame) for number, frame in batch if self.needs_own(number, frame)], anew=True)
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

    def needs_own(self, number: int, frame: NetworkInput) -> bool:
        """Whether a pose must wait for its own frame's motion: there is no other, or only an old one."""
        turn = self.turns[number]
        return self.streams[number].window.count == 0 or turn.is_old(frame.t_capture_ns) or not is_finite(turn.motion)

    def is_time(self, number: int, frame: NetworkInput) -> bool:
        """Whether to compute motion that is due, rather than to put it off."""
        has_time = number not in self.hurried or (self.caught_up and not self.busy())
        return has_time or self.turns[number].is_last_chance(frame.t_capture_ns)

    def run_motions(self, batch: Batch, anew: bool) -> None:
        self.caught_up &= not batch
        for part in chunks(batch, self.motions):
            engine, inputs = self.motions[len(part)]
            for place, (number, frame) in enumerate(part):
                self.memories[number].gather(frame.t_capture_ns, inputs, place)
                inputs["frame"][place] = frame.image
            outputs = engine.run()
            for place, (number, frame) in enumerate(part):
                motion = outputs["motion"][place]
                self.turns[number].took(frame.t_capture_ns, motion, anew)
                if is_finite(motion):
                    self.memories[number].keep(frame.t_capture_ns, outputs, place)


class MotionTurn:
    """One stream's newest motion feature, and when the next is due: at the frame nearest to each multiple of the trained step."""

    def __init__(self, step_ns: int, oldest_ns: int, channels: int):
        self.step_ns, self.oldest_ns, self.motion = step_ns, oldest_ns, np.zeros(channels, np.float32)
        self.taken_ns, self.due_ns, self.frame_ns = 0, 0, 0

    def saw(self, t_ns: int, before_ns: int | None) -> None:
        """A frame captured at ``t_ns``; ``before_ns``: the one before."""
        self.frame_ns = t_ns - before_ns if before_ns is not None else 0

    def is_due(self, t_ns: int) -> bool:
        """Whether the motion of that frame is to be computed, if it is not yet."""
        return t_ns != self.taken_ns and t_ns + self.frame_ns / 2 >= self.due_ns

    def is_last_chance(self, t_ns: int) -> bool:
        """Whether the next frame's pose could not take what there is."""
        return self.is_old(t_ns + self.frame_ns)

    def is_old(self, t_ns: int) -> bool:
        """Whether the newest motion is too old for a pose of that time."""
        return t_ns - self.taken_ns > self.oldest_ns

    def took(self, t_ns: int, motion: np.ndarray, anew: bool) -> None:
        """The motion of that frame. anew: steps are counted from it on."""
        is_late = t_ns - self.due_ns >= self.step_ns
        self.taken_ns, self.due_ns = t_ns, (t_ns if anew or is_late else self.due_ns) + self.step_ns
        self.motion[:] = motion
