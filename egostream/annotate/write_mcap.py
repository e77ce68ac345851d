"""``.mcap``: poses and pictures as the recording of a run has them, for ``egostream replay`` and for viewers."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np

from egostream.annotate.contract import RecordingFacts
from egostream.annotate.pictures import pixels_of
from egostream.annotate.write_jsonl import Messages
from egostream.capture.jpeg import JPEG_START
from egostream.handover.picture_ring import Picture
from egostream.record.layout import StreamAbout
from egostream.record.writer import DiskFull, RecordingWriter
from egostream.types import Pose

STREAM = "0"
#: zlib's effort for pictures that come as pixels, 0..9: as recorders have it.
PNG_EFFORT = 1


class McapWriter:
    """Writes a recording. Its times count from the first frame of the one that is annotated."""

    def __init__(self, path: Path, facts: RecordingFacts):
        self.messages = Messages(facts)
        about = StreamAbout(STREAM, facts.calibration_json, facts.settings_toml)
        noted = {key: str(getattr(facts, key)) for key in ("weights", "backend", "precision", "motion", "temporal")}
        self.writer = RecordingWriter(path, [about], noted)
        self.segment = -1  # the first pose continues nothing

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Write a pose, and the picture that it came from. Raises OSError."""
        assert picture is not None, "the format asks for pictures"
        message = self.messages.message(pose)
        self.segment += not pose.continues
        format, data = encoded(picture)
        kept = Picture(self.writer.pictures + 1, pose.seq, max(self.segment, 0), pose.t_capture_ns, format, data)
        try:
            self.writer.add_picture(STREAM, kept, message)
            self.writer.add_pose(message)
        except DiskFull as full:
            raise OSError(errno.ENOSPC, str(full)) from None

    def finish(self) -> None:
        """Close the file whole."""
        self.writer.finish({"lost_poses": "0", "lost_pictures": "0", "reason": "the recording is over"})

    def close(self) -> None:
        """Let the file go."""
        self.writer.file.close()


def encoded(picture: np.ndarray) -> tuple[str, bytes]:
    """A picture's format and bytes: JPEGs as they came, all else as PNG, of which no bit is lost."""
    if picture.ndim == 1 and picture[:2].tobytes() == JPEG_START:
        return "jpeg", picture.tobytes()
    return "png", cv2.imencode(".png", pixels_of(picture), [cv2.IMWRITE_PNG_COMPRESSION, PNG_EFFORT])[1].tobytes()
