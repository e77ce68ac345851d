"""How a recording is laid out: topics, metadata, and what is kept of each frame. docs/recordings.md specifies it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from egostream.calibration.camera import Calibration
from egostream.calibration.file import calibration_of
from egostream.calibration.mount import Mount, delivered_calibration
from egostream.config import ROTATIONS
from egostream.errors import EgostreamError, first_line, printable
from egostream.publish.message import POSE_TOPIC, STATUS_TOPIC

#: Version of this layout. Topics and keys may be added to it; a change of meaning raises it.
LAYOUT = "1"
#: Names of the two metadata records: at the file's start, and at its end.
ABOUT, ENDING = "egostream", "egostream.ending"
MSGPACK, PROTOBUF = "msgpack", "protobuf"
#: Topic of all streams' transforms, as other tools look for them.
TRANSFORMS = "/tf"
NS = 1_000_000_000


class FrameRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One frame on ``frame/<stream>``, before its picture on ``/<stream>/image``: what a replay needs beside it."""

    seq: int
    segment: int
    t_capture_ns: int  # the publisher's monotonic clock
    format: str  # of the picture: jpeg, or png
    continues: bool  # as in the frame's pose
    motions: list[int]


@dataclass(frozen=True)
class StreamAbout:
    """What is recorded of a stream once: its name, its calibration (our JSON), its settings (TOML).

    Where frames are taken for the canonical camera's, the calibration is that of the picture once it is upright.
    """

    name: str
    calibration: str
    config: str

    def settings(self) -> dict[str, Any]:
        """The settings of the run that recorded it, as a run that had this stream alone would have them.

        Raises EgostreamError when they cannot be read.
        """
        try:
            return tomllib.loads(self.config)
        except (ValueError, RecursionError) as error:  # TOML's own, and numbers that Python refuses to read
            raise EgostreamError(
                f"the recorded settings of stream {printable(self.name[:80])} cannot be read: {first_line(error)}"
            ) from None

    def camera(self, mount: Mount | None = None) -> Calibration:
        """The calibration of the picture as the camera delivers it. Raises EgostreamError when it cannot be read.

        mount: of the camera, which counts where its frames are taken for the canonical one's; None: as recorded.
        """
        settings, camera = self.settings(), calibration_of(self.calibration, self.name)
        if not settings.get("assume_canonical"):
            return camera
        return delivered_calibration(camera, mount or self.mount(settings))

    def mount(self, settings: dict[str, Any]) -> Mount:
        """How the camera was mounted, by the recorded settings. Raises EgostreamError."""
        rotate, flip = settings.get("rotate", 0), settings.get("flip", False)
        if type(rotate) is not int or rotate not in ROTATIONS or type(flip) is not bool:
            raise EgostreamError(f"stream {self.name} was recorded with rotate {rotate!r} and flip {flip!r}: damaged")
        return Mount(rotate, flip)


def digest(facts: Mapping[str, str], streams: Sequence[StreamAbout]) -> str:
    """SHA-256 over all that a recording says at its start, by which damage to it is seen. facts: without this."""
    texts = [[about.name, about.calibration, about.config] for about in streams]
    return hashlib.sha256(msgspec.json.encode([sorted(facts.items()), texts])).hexdigest()


def frame_topic(stream: str) -> str:
    """Topic of the frames' records."""
    return f"frame/{stream}"


def wire_topics(stream: str) -> tuple[str, str]:
    """Topics of the messages as they were on the wire: poses, status."""
    return f"{POSE_TOPIC}/{stream}", f"{STATUS_TOPIC}/{stream}"


def image_topic(stream: str) -> str:
    """Topic of the pictures."""
    return f"/{stream}/image"


def calibration_name(stream: str) -> str:
    """Name of the attachment with a stream's calibration."""
    return f"{stream}.calibration.json"


def config_name(stream: str) -> str:
    """Name of the attachment with a stream's settings."""
    return f"{stream}.config.toml"
