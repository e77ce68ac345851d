"""What whoever waits is told: lines that stay, and progress, which a terminal overwrites and a log repeats."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from egostream.errors import printable

LOG_S, TERMINAL_S = 4.0, 0.25  # seconds between two lines of progress
CLEAR = "\r\x1b[2K"


class Teller:
    """Says on stderr what is going on, in a terminal and in a log."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.is_terminal = self.stream.isatty()
        self.told_s = -LOG_S

    def say(self, line: str = "") -> None:
        """Print a line that stays."""
        print(f"{CLEAR if self.is_terminal else ''}{line}", file=self.stream, flush=True)

    def progress(self, line: str) -> None:
        """Show how far it is: over the line before on a terminal, else as a line of its own, every few seconds."""
        now = time.monotonic()
        if now - self.told_s < (TERMINAL_S if self.is_terminal else LOG_S):
            return
        self.told_s = now
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"{CLEAR}{printable(line)[:width]}")
            self.stream.flush()
        else:
            self.say(printable(line))


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 2 h 05 min."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
