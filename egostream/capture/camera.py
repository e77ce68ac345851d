"""What every camera promises, and choosing one from a source string."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.types import CameraFrame

if TYPE_CHECKING:
    from egostream.capture.recording import Recording

SAMPLE = asset("sample", "sample.avi")
STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://", "rtmp://")


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


def clip_path(source: str) -> Path:
    """The file or folder that a source would be, whether or not there is one."""
    return SAMPLE if source == "sample" else Path(source)


def check_source(source: str) -> None:
    """Raise EgostreamError for what is neither a device, nor a stream, nor a file or folder that exists."""
    is_elsewhere = source == "sample" or source.isdigit() or source.startswith(("/dev/", *STREAM_SCHEMES))
    if not is_elsewhere and not os.path.exists(source):
        raise EgostreamError(f"no source {source!r}: not a camera index, device path, file, folder or URL. List cameras: egostream cameras")


def choose_camera(config: RunConfig, seq: int, segment: int, say: Callable[[str], None]) -> Camera:
    """The camera that ``config.source`` names, not yet opened.

    seq and segment: where numbering starts. say: called with notes worth showing. Raises EgostreamError.
    """
    from egostream.capture.device import DeviceCamera, NetworkCamera
    from egostream.capture.recording import RecordingCamera

    source = config.source
    if source.isdigit() or source.startswith("/dev/"):
        return DeviceCamera(config, seq, segment, say)
    if source.startswith(STREAM_SCHEMES):
        return NetworkCamera(config, seq, segment, say)
    check_source(source)
    return RecordingCamera(recording_of(config), Pace(config.pace), config.loop or source == "sample", seq, segment, say)


def recording_of(config: RunConfig) -> Recording:
    """The recording that ``config.source`` names, not yet opened."""
    from egostream.capture.recording import ImageFolder, Video

    path = clip_path(config.source)
    return ImageFolder(path, config.fps or 30.0) if path.is_dir() else Video(path, config.fps)
