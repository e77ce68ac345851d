"""Taking the streams' newest frames, who was served longest ago first. Here a frame leaves the ring for the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from egostream.handover.board import CameraState
from egostream.handover.waiting import wait
from egostream.handover.worker import Worker
from egostream.types import NetworkInput, Stage


class FrameTaker:
    """Takes frames for the network, from the rings of all streams.

    wait_s: how long a fresh frame waits for those of other cameras that are about to come.
    """

    def __init__(self, worker: Worker, wait_s: float):
        self.links, self.ready, self.wait_s = worker.links, worker.ready, wait_s
        self.turn = list(range(len(self.links)))
        self.came_ns: dict[int, int] = {}  # when the last frame taken of a stream got ready

    def take(self, idle_s: float, limit: int) -> dict[int, NetworkInput]:
        """Up to ``limit`` frames not taken yet, by number of their stream, the oldest first.

        Returns none after ``idle_s`` seconds without any.
        """
        frames: dict[int, NetworkInput] = {}
        self.collect(frames, limit, idle_s, lambda: not frames)
        self.collect(frames, limit, self.wait_s, lambda: 0 < len(frames) < limit and self.others_are_due(frames))
        self.turn = [number for number in self.turn if number not in frames] + list(frames)
        return dict(sorted(frames.items(), key=lambda item: item[1].t_capture_ns))

    def has_fresh(self, numbers: Iterable[int]) -> bool:
        """Whether one of these streams has a frame that was not taken yet."""
        return any(not self.links[number].ring.is_consumed() for number in numbers)

    def collect(
        self, frames: dict[int, NetworkInput], limit: int, seconds: float, needs_more: Callable[[], bool]
    ) -> None:
        """Add fresh frames; wait up to ``seconds`` for others while more are needed."""
        deadline = time.monotonic() + seconds
        self.add_fresh(frames, limit)
        while needs_more() and (left := deadline - time.monotonic()) > 0:
            wait(self.ready, left)
            self.add_fresh(frames, limit)

    def add_fresh(self, frames: dict[int, NetworkInput], limit: int) -> None:
        """Add the frames that are there, in the order of the streams' turn."""
        while self.ready.acquire(block=False):
            pass  # wake-ups of frames that newer ones replaced, or that are about to be taken
        for number in self.turn:
            if len(frames) < limit and number not in frames:
                link = self.links[number]
                if (frame := link.ring.read_newest(link.taken)) is not None:
                    frames[number] = frame
                    self.came_ns[number] = frame.t_done_ns - frame.stages_ns[Stage.HANDOVER]

    def others_are_due(self, frames: dict[int, NetworkInput]) -> bool:
        """Whether a stream that has no frame among these is about to have one."""
        return any(number not in frames and self.is_due(number) for number in range(len(self.links)))

    def is_due(self, number: int) -> bool:
        """Whether a stream's next frame is expected about now.

        It comes a period after its last. Where that is not known, it may come at any time.
        """
        board = self.links[number].board
        if board["capture_state"] != CameraState.STREAMING:
            return False
        if number not in self.came_ns or not board["capture_fps"]:
            return True
        due_ns = self.came_ns[number] + 1e9 / board["capture_fps"]
        return abs(due_ns - time.monotonic_ns()) <= self.wait_s * 1e9
