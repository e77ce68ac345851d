"""``.mcap``: poses and pictures as the recording of a run has them, for ``egostream replay`` and for viewers."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np

from egostream.annotate.contract import RecordingFacts
from egostream.annotate.pictures import pixels_of
from egostream.annotate.write_jsonl import Messages
from egostream.capture.pictures import own_format, png_of
from egostream.handover.picture_ring import Picture
from egostream.record.layout import StreamAbout
from egostream.record.writer import DiskFull, RecordingWriter
from egostream.types import Pose

STREAM = "0"


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
        format, number = own_format(picture), self.writer.pictures + 1
        data = picture if format else png_of(pixels_of(picture))
        t_ns, segment = pose.t_capture_ns, max(self.segment, 0)
        kept = Picture(number, pose.seq, segment, t_ns, format or "png", data.tobytes())
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
