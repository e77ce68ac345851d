"""From a source's text to its camera."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from egostream.capture.camera import Camera, Pace
from egostream.capture.clips import Recording
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset

SAMPLE = asset("sample", "sample.avi")


STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://", "rtmp://")


def clip_path(source: str) -> Path:
    """The file or folder that a source would be, whether or not there is one."""
    return SAMPLE if source == "sample" else Path(source)


def check_source(source: str) -> None:
    """Raise EgostreamError for what is neither a device, nor a stream, nor a file or folder that exists."""
    is_elsewhere = source == "sample" or source.isdigit() or source.startswith(("/dev/", *STREAM_SCHEMES))
    if not is_elsewhere and not os.path.exists(source):
        raise EgostreamError(
            f"no source {source!r}: not a camera index, device path, file, folder or URL. List cameras: egostream cameras"
        )


def choose_camera(config: RunConfig, seq: int, segment: int, say: Callable[[str], None]) -> Camera:
    """The camera that ``config.source`` names, not yet opened.

    seq and segment: where numbering starts. say: called with notes worth showing. Raises EgostreamError.
    """
    from egostream.capture.device import DeviceCamera
    from egostream.capture.recording import RecordingCamera
    from egostream.capture.url_stream import NetworkCamera

    source = config.source
    if source.isdigit() or source.startswith("/dev/"):
        return DeviceCamera(config, seq, segment, say)
    if source.startswith(STREAM_SCHEMES):
        return NetworkCamera(config, seq, segment, say)
    check_source(source)
    return RecordingCamera(
        recording_of(config), Pace(config.pace), config.loop or source == "sample", seq, segment, say
    )


def recording_of(config: RunConfig) -> Recording:
    """The recording that ``config.source`` names, not yet opened."""
    from egostream.capture.clips import ImageFolder, Video

    path = clip_path(config.source)
    return ImageFolder(path, config.fps or 30.0) if path.is_dir() else Video(path, config.fps)
