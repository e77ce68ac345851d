"""What every camera promises."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from egostream.config import RunConfig
from egostream.types import CameraFrame


class Pace(StrEnum):
    """How a recording is played."""

    LIVE = "live"  # at its own rate; frames are skipped when we are slow, as a camera would
    EVERY_FRAME = "every-frame"  # none is skipped; stamps follow the recording's clock, however long we take
    MAX_RATE = "max-rate"  # as fast as frames are taken, stamped when they are


class CameraLost(Exception):
    """The camera stopped delivering: unplugged, stream cut, no fresh frame within the watchdog's time.

    repeated: how often it delivered the same picture again before that was sure.
    """

    def __init__(self, reason: str, repeated: int = 0):
        super().__init__(reason)
        self.repeated = repeated


class Camera(Protocol):
    """A source of frames. Not thread-safe; lives in the capture process only.

    A camera may be closed and opened again. Its numbering goes on then: ``seq`` never restarts, and ``segment`` grows
    wherever continuity ends.
    """

    seq: int  # number of the next frame; frames that were skipped count, too
    segment: int  # number of the present stretch without a break
    say: Callable[[str], None]  # called with each note worth showing

    @property
    def is_live(self) -> bool:
        """Whether a lost camera is to be opened again; a recording just ends."""

    @property
    def is_paced(self) -> bool:
        """Whether a frame must not be replaced before it was taken: recordings at every-frame and max-rate."""

    @property
    def mode(self) -> str:
        """What was negotiated, for people; empty before the first ``open``."""

    def open(self) -> None:
        """Open the camera. Raises EgostreamError, saying what to try next."""

    def read(self) -> CameraFrame:
        """Block until a frame not read before. Raises CameraLost, or StreamEnded at the end of a recording."""

    def close(self) -> None:
        """Let the camera go. Closing one that is not open does nothing."""


#: Makes a camera, not yet opened, of: the settings, where ``seq`` and ``segment`` begin, and ``say``.
MakeCamera = Callable[[RunConfig, int, int, Callable[[str], None]], Camera]
