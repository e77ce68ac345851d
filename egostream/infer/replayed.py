"""Recorded poses once more: motion is made of the very frames of which the recorded run made it, and of no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egostream.infer.batch import Batch
from egostream.infer.trained_step import TrainedStepEstimator
from egostream.record.schedule import Schedule
from egostream.types import NetworkInput


class ReplayedEstimator(TrainedStepEstimator):
    """A ``TrainedStepEstimator`` whose streams of recordings keep to a schedule. Others are as they are there.

    A run at live pace makes motion where there is time for it. So its poses depend on the clock, which a schedule
    stands for: with it the same engines give the same poses, to the bit. schedules: by number of the stream.
    """

    def __init__(self, *arguments: Any, schedules: Mapping[int, Schedule], **options: Any):
        super().__init__(*arguments, **options)
        self.most_at_once = 1  # an engine for several frames may round otherwise
        self.schedules = schedules
        self.kept: dict[int, dict[int, NetworkInput]] = {number: {} for number in schedules}

    def compute_missing(self, batch: Batch) -> None:
        """Make the motion that the recorded poses of a batch came from."""
        for number, frame in batch:
            if number in self.schedules:
                self.follow(number, frame)
        super().compute_missing(batch)

    def follow(self, number: int, frame: NetworkInput) -> None:
        """Make the motion that is scheduled before the pose of a frame."""
        schedule, kept = self.schedules[number], self.kept[number]
        kept[frame.seq] = frame
        for seq in schedule.before(frame.seq):
            if seq in kept:
                self.run_motions([(number, kept[seq])], restart_steps=True)
        for seq in [seq for seq in kept if not schedule.is_used_after(seq, frame.seq)]:
            del kept[seq]

    def must_wait(self, number: int) -> bool:
        """Whether a pose must wait for its own frame's motion: of a recording, only where there is none at all."""
        if number in self.schedules:
            return self.streams[number].window.count == 0
        return super().must_wait(number)

    def is_due(self, number: int) -> bool:
        """Whether the motion of a stream's newest frame is due: never by itself where there is a schedule."""
        return number not in self.schedules and super().is_due(number)
