"""An MCAP recording of egostream's as a finite sequence of frames: the camera's own bytes, at their own times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from egostream.capture.stamps import DEFAULT_INTERVAL_NS, NS
from egostream.errors import EgostreamError
from egostream.record.layout import FrameRecord
from egostream.record.reader import RecordedFrame, RecordingReader


class McapRecording:
    """The frames of one stream of a recording: those that have a pose and a picture.

    stream: its name; empty: the first. Raises EgostreamError where the file is no recording, or has no such stream.
    """

    def __init__(self, path: Path, stream: str = ""):
        self.reader = RecordingReader(path)
        self.path, self.stream = path, self.reader.about.stream(stream).name
        self.mode, self.note = "", ""
        self.frames: Iterator[RecordedFrame] = iter(())
        self.ahead: deque[tuple[RecordedFrame, int, int]] = deque()  # the next frames, when each happens, its part
        self.placed: tuple[FrameRecord, int, int] | None = None  # the last of them
        self.interval_ns = DEFAULT_INTERVAL_NS  # between the last two frames of which it is known
        self.passed = 0
        self.known_count = 0

    def open(self) -> None:
        """Go to the first frame. Raises EgostreamError when there is none."""
        entries = self.reader.entries(self.stream)
        self.frames = (entry for entry in entries if isinstance(entry, RecordedFrame))
        self.ahead.clear()
        self.placed, self.passed = None, 0
        if not self.look(1):
            why = self.reader.damage or "it was recorded without pictures"
            raise EgostreamError(f"{self.path} has no frame of stream {self.stream} to play: {why}")
        self.mode = f"{self.path.name} stream {self.stream}"

    @property
    def fps(self) -> float:
        """Frames per second, by the last two that were looked at."""
        return NS / self.interval_ns

    @property
    def count(self) -> int:
        """Frames, counted through the file."""
        if not self.known_count:
            frames = RecordingReader(self.path).entries(self.stream)
            self.known_count = sum(isinstance(entry, RecordedFrame) for entry in frames)
        return self.known_count

    def look(self, count: int) -> bool:
        """Whether there are so many more frames."""
        while len(self.ahead) < count and (frame := next(self.frames, None)) is not None:
            self.ahead.append((frame, *self.place(frame.record)))
        return len(self.ahead) >= count

    def place(self, record: FrameRecord) -> tuple[int, int]:
        """When a frame happens, ns from the first one on, and the number of its stretch without a break."""
        t_ns = part = 0
        if self.placed is not None:
            before, t_before_ns, part = self.placed
            step_ns = record.t_capture_ns - before.t_capture_ns
            part += record.segment != before.segment or not record.continues or step_ns <= 0
            if step_ns > 0:
                self.interval_ns = step_ns
            t_ns = t_before_ns + self.interval_ns
        self.placed = record, t_ns, part
        return t_ns, part

    def begins_ns(self) -> int:
        """When the next frame happens; behind the last one, when that ends."""
        if self.look(1):
            return self.ahead[0][1]
        return self.placed[1] + self.interval_ns if self.placed else 0

    def ends_ns(self) -> int:
        """When the frame after the next one happens; at the last one, when that ends."""
        return self.ahead[1][1] if self.look(2) else self.begins_ns() + self.interval_ns * self.look(1)

    def next_part(self) -> int:
        """Number of the stretch of the next frame: it grows where the recorded run forgot the past."""
        if self.look(1):
            return self.ahead[0][2]
        return self.placed[2] if self.placed else 0

    def read(self) -> np.ndarray | None:
        """The next frame's encoded bytes [n]; None at the end."""
        if not self.look(1):
            return None
        return np.frombuffer(self.ahead.popleft()[0].picture, np.uint8)

    def skip(self) -> bool:
        """Pass over one frame; False at the end."""
        return self.read() is not None

    def mark(self) -> tuple[int, str]:
        """No mark: passing over a frame decodes nothing."""
        return 0, ""

    def go_to_mark(self, text: str) -> bool:
        """False: there are no marks."""
        return False

    def ending(self) -> str:
        """What is wrong with the file; empty when nothing is."""
        return f"{self.path.name}: {self.reader.damage}" if self.reader.damage else ""

    def close(self) -> None:
        """Let the file go."""
        self.frames = iter(())
        self.ahead.clear()
