"""Which frames' motion each recorded pose came from: what a replay does again, where a run decided it by the clock.

Frames are numbered as a replay numbers them: from 0 on, as they stand in the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egostream.record.layout import FrameRecord


@dataclass(frozen=True)
class Schedule:
    """Motion of one stream, for each of its frames in turn.

    motions: the frames whose motion is made before a frame's pose, after the pose before it, in order. A frame that is
    not in the file is left out. last_use: the last frame before whose pose a frame's motion is made.
    """

    motions: tuple[tuple[int, ...], ...]
    last_use: dict[int, int]

    def before(self, seq: int) -> list[int]:
        """Frames whose motion is made before the pose of frame ``seq``, counted on over a file's loops."""
        start, frame = self.loop(seq)
        return [start + one for one in self.motions[frame]]

    def is_used_after(self, seq: int, now: int) -> bool:
        """Whether the motion of frame ``seq`` is made after the pose of frame ``now``."""
        start, frame = self.loop(seq)
        return self.last_use.get(frame, -1) > now - start

    def loop(self, seq: int) -> tuple[int, int]:
        """Number of the frame that the present loop began with, and the frame's own in the file."""
        frame = seq % len(self.motions)
        return seq - frame, frame


def schedule_of(records: Iterable[FrameRecord]) -> Schedule:
    """The schedule that a stream's frames tell, in their order."""
    numbers: dict[int, int] = {}
    motions, last_use = [], {}
    for number, record in enumerate(records):
        numbers[record.seq] = number
        motions.append(tuple(numbers[seq] for seq in record.motions if seq in numbers))
        last_use.update(dict.fromkeys(motions[-1], number))
    return Schedule(tuple(motions), last_use)
