"""A child process's view of its run: shared memory, heartbeat, notes."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Semaphore

from egostream.handover.board import Board, RunBoard, StreamBoard
from egostream.handover.frame_ring import FrameRing
from egostream.handover.picture_ring import PictureRing

#: Semaphore and names of shared memory of a link, as they are passed to a child.
Handles = tuple[Semaphore, str, str, str]


class StreamLink:
    """What a stream's capture process and inference share."""

    def __init__(self, taken: Semaphore, board: StreamBoard, ring: FrameRing, pictures: PictureRing):
        self.taken, self.board, self.ring, self.pictures = taken, board, ring, pictures

    @classmethod
    def attach(cls, taken: Semaphore, board: str, ring: str, pictures: str) -> StreamLink:
        """The link in a child, by the names of its shared memory."""
        return cls(taken, StreamBoard(board), FrameRing(ring), PictureRing(pictures))

    def handles(self) -> Handles:
        """What ``attach`` takes: it travels to a child."""
        return self.taken, self.board.name, self.ring.name, self.pictures.name

    def close(self) -> None:
        """Detach from its shared memory; the owner also removes it."""
        self.pictures.close()
        self.ring.close()
        self.board.close()


class Worker:
    """A child's view of the run. A capture process has its own stream's number and link, inference has all links."""

    def __init__(self, name: str, run_board: RunBoard, links: list[StreamLink], ready: Semaphore, stream: int | None):
        self.name, self.run_board, self.links, self.ready, self.stream = name, run_board, links, ready, stream
        self.parent = multiprocessing.parent_process()  # None in tests, which play the child themselves

    @property
    def link(self) -> StreamLink:
        """A capture process's link: its own stream's."""
        return self.links[0]

    @property
    def board(self) -> Board:
        """Where it beats and says what there is to say."""
        return self.run_board if self.stream is None else self.link.board

    def should_stop(self) -> bool:
        """Beat, and say whether to end: told to, or the supervisor is gone."""
        self.board.beat(self.name)
        return bool(self.run_board["stop"]) or (self.parent is not None and not self.parent.is_alive())

    def sleep(self, seconds: float) -> bool:
        """Sleep while beating; True when the run ends meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.should_stop():
                return True
            time.sleep(min(left, 0.1))
        return self.should_stop()

    def say(self, note: str) -> None:
        """Show a note to the user."""
        self.board.note(self.name, note)
