"""One child process and its history: when it was started, killed, restarted; whether it hangs."""

from __future__ import annotations

import multiprocessing.process
import time
from collections.abc import Callable
from dataclasses import dataclass

from egostream.handover.board import Board, CameraState
from egostream.supervise.processes import CAPTURE, ProcessSpec

RESTART_FIRST_S, RESTART_LONGEST_S = 0.1, 5.0
FORGIVEN_AFTER_S = 60.0  # a process that lived this long starts over with the shortest pause
#: Restarts in a row that a process is taken to have behind it, at most, when it has worked in between: 0.8 s of pause.
WORKING_RESTARTS = 3
STUCK_S = 5.0  # a killed child that is still there after this long hangs in the kernel
OVER = (CameraState.ENDED, CameraState.FAILED)
NEVER = float("inf")


@dataclass
class Watched:
    """One child. It is down while ``process`` is None."""

    spec: ProcessSpec
    title: str  # for people
    board: Board  # where it beats
    stream: int | None = None  # a capture process's
    process: multiprocessing.process.BaseProcess | None = None
    started_s: float = 0.0
    forgiven_s: float = 0.0  # when its silence up to then was excused
    restarts_in_a_row: int = 0
    start_at_s: float = 0.0  # when to start it, while it is down
    killed_s: float = 0.0  # when it was told to die, if it is not dead yet
    is_reported_stuck: bool = False
    progress: Callable[[], int] = lambda: 0  # counts what it achieves: frames handed over, poses
    progress_before: int = 0  # when it was started
    notes_taken: int = 0
    newest_note: str = ""

    def field(self, name: str) -> str:
        """Name of one of its fields on its board."""
        return f"{self.spec.name}_{name}"

    def has_beaten(self) -> bool:
        """Whether it has given a sign of life since it was started."""
        return self.beat_s() > self.started_s

    def beat_s(self) -> float:
        """When it gave its last sign of life, in seconds of the monotonic clock."""
        return int(self.board[self.field("beat_ns")]) / 1e9

    def is_hung(self, now: float, allowed_s: float) -> bool:
        """Whether it has not beaten for longer than is allowed, or than its start may take."""
        since_s = max(self.started_s, self.forgiven_s)
        if now - since_s < self.spec.start_s and not self.has_beaten():
            return False
        return now - max(self.beat_s(), since_s) > allowed_s

    def clear_board(self) -> None:
        """Forget what an earlier process of this child wrote about itself."""
        self.board[self.field("beat_ns")] = 0
        self.board[self.field("fatal")] = b""

    def watch_process(self, process: multiprocessing.process.BaseProcess) -> None:
        """Watch a new process."""
        self.process, self.started_s, self.killed_s = process, time.monotonic(), 0.0
        self.progress_before = self.progress()
        self.is_reported_stuck = False

    def forgive(self, now: float) -> None:
        """Count its silence from now on: the whole run was suspended."""
        self.forgiven_s = now

    def kill(self, now: float) -> None:
        """Kill a process that hangs, and note since when it should be dead."""
        assert self.process is not None
        self.killed_s = now
        self.process.kill()
        self.mark_lost()

    def is_newly_stuck(self, now: float) -> bool:
        """Whether a killed process is still there after so long that it must hang in the kernel. True once."""
        if self.is_reported_stuck or not 0 < self.killed_s < now - STUCK_S:
            return False
        self.is_reported_stuck = True
        return True

    def reap(self) -> None:
        """Take leave of a process that has ended."""
        assert self.process is not None
        self.process.join()
        self.process = None

    def has_ended_well(self, exit_code: int) -> bool:
        """Whether it ended as it should: told to stop, or its recording is over."""
        return exit_code == 0 or (self.spec is CAPTURE and self.board["capture_state"] == CameraState.ENDED)

    def take_notes(self) -> list[str]:
        """What it has said since the last call, oldest first. A note that repeats the one before it is left out."""
        new, count = [], self.board.count_notes(self.spec.name)
        for note in self.board.notes(self.spec.name, self.notes_taken, count):
            if note != self.newest_note:
                new.append(note)
                self.newest_note = note
        self.notes_taken = count
        return new

    def mark_lost(self) -> None:
        """A camera whose process is down does not stream, whatever the process said last."""
        if self.spec is CAPTURE and self.board["capture_state"] not in OVER:
            self.set_camera(CameraState.LOST)

    def set_camera(self, state: CameraState) -> None:
        """Write the state of a camera that does not stream."""
        self.board["capture_state"], self.board["capture_fps"] = state, 0.0

    def stay_down(self) -> None:
        """It is not started again, until ``start_again``."""
        self.start_at_s = NEVER

    def start_again(self) -> None:
        """It may be started at once."""
        self.start_at_s = 0.0

    def plan_restart(self, now: float) -> float | None:
        """Seconds until it is started again, growing with each restart in a row. None: too many of them.

        One that has achieved something since its start is never given up, and waits for less than a second.
        """
        if now - self.started_s > FORGIVEN_AFTER_S:
            self.restarts_in_a_row = 0
        elif self.progress() > self.progress_before:
            self.restarts_in_a_row = min(self.restarts_in_a_row, WORKING_RESTARTS)
        if self.restarts_in_a_row >= self.spec.most_restarts:
            return None
        pause = min(RESTART_FIRST_S * 2**self.restarts_in_a_row, RESTART_LONGEST_S)
        self.restarts_in_a_row += 1
        self.start_at_s = now + pause
        self.board[self.field("restarts")] += 1
        return pause


def describe_exit(code: int, reason: str) -> str:
    """How a child ended, for people."""
    return f"killed by signal {-code}" if code < 0 else reason or f"exit status {code}"
