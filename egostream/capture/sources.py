"""From a source's text to its camera: one table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from egostream.capture.camera import Camera, MakeCamera, Pace
from egostream.capture.clips import ImageFolder, Recording, Video
from egostream.capture.device import DeviceCamera
from egostream.capture.recording import RecordingCamera
from egostream.capture.url_stream import NetworkCamera
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset

SAMPLE = asset("sample", "sample.avi")
STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://", "rtmp://")


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: which texts name one, and the camera behind it."""

    is_named_by: Callable[[str], bool]
    make_camera: MakeCamera
    is_live: bool  # as the camera says


def is_device(source: str) -> bool:
    """Whether a source names a camera of this machine, by index or by path."""
    return source.isdigit() or source.startswith("/dev/")


def is_stream(source: str) -> bool:
    """Whether a source names a network stream."""
    return source.startswith(STREAM_SCHEMES)


def play_recording(config: RunConfig, seq: int, segment: int, say: Callable[[str], None]) -> RecordingCamera:
    """The camera that plays the recording which ``config.source`` names. Raises EgostreamError when there is none."""
    check_source(config.source)
    loop = config.loop or config.source == "sample"
    return RecordingCamera(recording_of(config), Pace(config.pace), loop, seq, segment, say)


DEVICES = SourceKind(is_device, DeviceCamera, DeviceCamera.is_live)
STREAMS = SourceKind(is_stream, NetworkCamera, NetworkCamera.is_live)
RECORDINGS = SourceKind(lambda source: True, play_recording, RecordingCamera.is_live)
#: The first kind that knows a source's text is meant. A new kind is a line here, before recordings.
SOURCE_KINDS = (DEVICES, STREAMS, RECORDINGS)


def kind_of(source: str) -> SourceKind:
    """The kind of a source, by its text alone."""
    return next(kind for kind in SOURCE_KINDS if kind.is_named_by(source))


def is_live(source: str) -> bool:
    """Whether a source goes on whether or not anybody looks: any camera and stream, but no recording."""
    return kind_of(source).is_live


def check_source(source: str) -> None:
    """Raise EgostreamError for what is neither a device, nor a stream, nor a file or folder that exists."""
    if kind_of(source) is RECORDINGS and source != "sample" and not os.path.exists(source):
        raise EgostreamError(
            f"no source {source!r}: not a camera index, device path, file, folder or URL. "
            "List cameras: egostream cameras"
        )


def choose_camera(config: RunConfig, seq: int, segment: int, say: Callable[[str], None]) -> Camera:
    """The camera that ``config.source`` names, not yet opened. Raises EgostreamError when it names none.

    seq, segment: where numbering starts. say: called with each note worth showing.
    """
    return kind_of(config.source).make_camera(config, seq, segment, say)


def clip_path(source: str) -> Path:
    """The file or folder that a source would be, whether or not there is one."""
    return SAMPLE if source == "sample" else Path(source)


def recording_of(config: RunConfig) -> Recording:
    """The recording that ``config.source`` names, not yet opened."""
    path = clip_path(config.source)
    return ImageFolder(path, config.fps) if path.is_dir() else Video(path, config.fps)
