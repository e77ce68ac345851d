"""Progress in a log: a line every few seconds, however often something moves on."""

from __future__ import annotations

import sys
import time

SAY_S = 4.0  # seconds between lines of progress


class Paced:
    """Prints lines of progress on stderr, no two within ``SAY_S`` seconds. On a terminal others show it: it is mute."""

    def __init__(self) -> None:
        self.is_mute = sys.stderr.isatty()
        self.begun_s = self.said_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time for a line."""
        return not self.is_mute and time.monotonic() - self.said_s >= SAY_S

    def say(self, line: str) -> None:
        """Print a line where one is due."""
        if self.is_due:
            self.said_s = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def count(self, what: str, done: int, total: int) -> None:
        """Say how many of ``total`` things are done, and how long the rest takes, where a line is due."""
        if self.is_due and done:
            left_s = (time.monotonic() - self.begun_s) / done * (total - done)
            self.say(f"{done} of {total} {what}, about {left_s:.0f} s left")
