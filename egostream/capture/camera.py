"""What every camera promises, and choosing one from a source string."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from egostream.types import CameraFrame

if TYPE_CHECKING:
    pass


class Pace(StrEnum):
    """How a recording is played."""

    LIVE = "live"  # at its own rate; frames are skipped when we are slow, as a camera would
    EVERY_FRAME = "every-frame"  # none is skipped; stamps follow the recording's clock, however long we take
    MAX_RATE = "max-rate"  # as fast as frames are taken, stamped when they are


class CameraLost(Exception):
    """The camera stopped delivering: unplugged, stream cut, no fresh frame within the watchdog's time."""


class Camera(Protocol):
    """A source of frames. Not thread-safe; lives in the capture process only."""

    is_live: bool  # a lost camera is re-opened; a recording just ends
    is_paced: bool  # frames must not be replaced before they were taken (every-frame, max-rate)
    mode: str  # what was negotiated, for people

    def open(self) -> None:
        """Open it. Raises EgostreamError, saying what to try next."""

    def read(self) -> CameraFrame:
        """Block until a frame not read before. Raises CameraLost or StreamEnded."""

    def close(self) -> None: ...
