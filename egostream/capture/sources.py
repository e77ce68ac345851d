"""From a source's text to its camera: one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from egostream.capture.camera import Camera, MakeCamera, Pace
from egostream.capture.clips import ImageFolder, Recording, Video
from egostream.capture.device import DeviceCamera, device_path
from egostream.capture.recording import RecordingCamera
from egostream.capture.source_text import is_session, local_path, mcap_of, scheme_of
from egostream.capture.url_stream import NetworkCamera
from egostream.capture.web import FetchedVideo, look_at
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.record.mcap_library import check_mcap
from egostream.redact import without_password

SAMPLE = asset("sample", "sample.avi")
#: Schemes of network streams, in small letters. What answers http may as well be a recording.
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtp", "srt", "rtmp", "rtmps")
WEB_SCHEMES = ("http", "https")


class What(Enum):
    """What a source is."""

    DEVICE = "a camera of this machine"
    STREAM = "a network stream"
    RECORDING = "a file or folder"


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: which texts name one, and the camera behind it."""

    is_named_by: Callable[[str], bool]
    make_camera: MakeCamera
    is_live: bool  # as the camera says


def what_is(source: str) -> What:
    """What a source is, by looking at what is there, not at how its name is spelt.

    - ``sample`` is the bundled clip. ``./sample`` is a file.
    - An index is a camera; where this machine has no such camera and a file or folder bears that name, it is this one.
    - A path that exists is what lies there: a character device a camera, an SDP file a stream, else a recording.
    - A URL's scheme counts in small and capital letters. What answers http with a length is a recording.
    - A path that does not exist is a recording, or a camera where it lies below /dev.
    """
    if source == "sample":
        return What.RECORDING
    path, scheme = clip_path(source), scheme_of(source)
    if source.isascii() and source.isdecimal() and (has_device(source) or not os.path.exists(path)):
        return What.DEVICE
    if os.path.exists(path):
        return What.DEVICE if path.is_char_device() else What.STREAM if is_session(path) else What.RECORDING
    if scheme in WEB_SCHEMES:
        return What.RECORDING if look_at(source).is_recording else What.STREAM
    if scheme in STREAM_SCHEMES:
        return What.STREAM
    return What.DEVICE if path.as_posix().startswith("/dev/") and scheme != "file" else What.RECORDING


def has_device(index: str) -> bool:
    """Whether this machine has a camera of that index; only Linux tells without opening it."""
    return sys.platform != "linux" or os.path.exists(device_path(index))


def play_recording(config: RunConfig, seq: int, segment: int, say: Callable[[str], None]) -> RecordingCamera:
    """The camera that plays the recording which ``config.source`` names. Raises EgostreamError when there is none."""
    check_source(config.source)
    loop = config.loop or config.source == "sample"
    return RecordingCamera(recording_of(config, say), Pace(config.pace), loop, seq, segment, say)


DEVICES = SourceKind(lambda source: what_is(source) is What.DEVICE, DeviceCamera, DeviceCamera.is_live)
STREAMS = SourceKind(lambda source: what_is(source) is What.STREAM, NetworkCamera, NetworkCamera.is_live)
RECORDINGS = SourceKind(lambda source: True, play_recording, RecordingCamera.is_live)
#: The first kind that a source is. A new kind is a line here, before recordings.
SOURCE_KINDS = (DEVICES, STREAMS, RECORDINGS)


def kind_of(source: str) -> SourceKind:
    """The kind of a source."""
    return next(kind for kind in SOURCE_KINDS if kind.is_named_by(source))


def is_live(source: str, say: Callable[[str], None] = lambda note: None) -> bool:
    """Whether a source goes on whether or not anybody looks: any camera and stream, but no recording.

    say: called with a note where that had to be guessed.
    """
    kind = kind_of(source)
    if scheme_of(source) in WEB_SCHEMES and (note := look_at(source).note):
        say(note)
    return kind.is_live


def check_source(source: str) -> None:
    """Raise EgostreamError for what is neither a device, nor a stream, nor a file or folder that exists."""
    is_elsewhere = source == "sample" or scheme_of(source) in WEB_SCHEMES
    if not is_elsewhere and not os.path.exists(clip_path(source)) and kind_of(source) is RECORDINGS:
        raise EgostreamError(
            f"no source {without_password(source)!r}: not a camera index, device path, file, folder or URL. "
            "List cameras: egostream cameras"
        )


def choose_camera(
    config: RunConfig, seq: int, segment: int, say: Callable[[str], None], is_live: bool | None = None
) -> Camera:
    """The camera that ``config.source`` names, not yet opened. Raises EgostreamError when it names none.

    seq, segment: where numbering starts. say: called with each note worth showing. is_live: what a URL was found to
    be; None: look now. A server is asked once in a run, since some serve one client only.
    """
    if is_live is None or scheme_of(config.source) not in WEB_SCHEMES:
        kind = kind_of(config.source)
    else:
        kind = STREAMS if is_live else RECORDINGS
    return kind.make_camera(config, seq, segment, say)


def clip_path(source: str) -> Path:
    """The file or folder that a source would be, whether or not there is one."""
    if source == "sample":
        return SAMPLE
    mcap = mcap_of(source)
    return mcap[0] if mcap else local_path(source)


def recording_of(config: RunConfig, say: Callable[[str], None] = lambda note: None) -> Recording:
    """The recording that ``config.source`` names, not yet opened. say: called with each note worth showing."""
    if mcap := mcap_of(config.source):
        check_mcap()
        from egostream.capture.mcap_recording import McapRecording

        return McapRecording(*mcap)
    path = clip_path(config.source)
    if scheme_of(config.source) in WEB_SCHEMES and not os.path.exists(path):
        return FetchedVideo(config.source, config.fps, say)
    return ImageFolder(path, config.fps) if path.is_dir() else Video(path, config.fps)
