"""Prints a run's lines in a thread of its own: a pipe that nobody reads, or a full disk, must not hold up the run."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable

from rich.console import Console

#: Lines that wait while nothing can be printed: a quarter of an hour of a run that says one a second.
MOST_WAITING = 1000
#: How long the end of a run waits for its last lines to be printed, seconds.
LAST_LINES_S = 2.0


class Printer:
    """A console whose callers never wait and never fail. Lines that do not fit the queue are left out and counted."""

    def __init__(self, console: Console):
        self.console = console
        self.waiting: queue.Queue[Callable[[], object] | None] = queue.Queue(MOST_WAITING)
        self.left_out = 0
        self.has_failed = False  # whether what was printed last could not be written
        self.thread = threading.Thread(target=self.print_on, name="printer", daemon=True)
        self.thread.start()

    def say(self, line: str) -> None:
        """Print a line."""
        self.do(lambda: self.console.print(line, markup=False))

    def do(self, action: Callable[[], object]) -> None:
        """Do in the thread whatever writes to the console."""
        try:
            self.waiting.put_nowait(action)
        except queue.Full:
            self.left_out += 1

    def print_on(self) -> None:
        """Print what waits until ``close``."""
        while (action := self.waiting.get()) is not None:
            try:
                action()
                self.has_failed = False
                self.tell_left_out()
            except (OSError, ValueError):  # the reader has gone, the disk is full, the stream was closed
                self.has_failed = True

    def tell_left_out(self) -> None:
        """Say how many lines are missing, once there is room again."""
        if self.left_out and self.waiting.empty():
            count, self.left_out = self.left_out, 0
            self.console.print(f"{count} lines were left out, since nobody read them", markup=False)

    def close(self) -> bool:
        """Print what waits and end. False: it hangs in a write, so that the process can only be ended by force."""
        with contextlib.suppress(queue.Full):
            self.waiting.put(None, timeout=LAST_LINES_S)
        self.thread.join(LAST_LINES_S)
        if self.has_failed:  # the interpreter flushes its streams at its end, and would fail, too
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self.console.file.fileno())
        return not self.thread.is_alive()
