"""``.jsonl``: a line for each pose, with the fields of the message on the wire (docs/messages.md)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from egostream.annotate.closing import close_quietly
from egostream.annotate.contract import RecordingFacts
from egostream.publish.message import PoseMessage
from egostream.types import Pose

STREAM = "0"  # the name that a run gives its only stream


class Messages:
    """Poses of one recording as messages.

    What a message says of its own way is left neutral, so that the same recording gives the same bytes:
    ``t_publish_ns`` is ``t_capture_ns``, ``clock_offset_ns`` is 0, ``stages_ns`` is empty.
    """

    def __init__(self, facts: RecordingFacts):
        self.facts = facts
        self.next_seq: int | None = None  # the frame that would follow without a gap
        self.dropped_frames = 0  # since the first pose, as a message counts them

    def message(self, pose: Pose) -> PoseMessage:
        """The next pose as a message."""
        if self.next_seq is not None:
            self.dropped_frames += pose.seq - self.next_seq
        self.next_seq = pose.seq + 1
        return PoseMessage(
            stream=STREAM,
            seq=pose.seq,
            t_capture_ns=pose.t_capture_ns,
            t_publish_ns=pose.t_capture_ns,
            clock_offset_ns=0,
            stages_ns={},
            joints=pose.joints.tolist(),
            confidence=pose.confidence.tolist(),
            keypoints=pose.keypoints.tolist(),
            weights=self.facts.weights,
            dropped_frames=self.dropped_frames,
            continues=pose.continues,
            motions=list(pose.motions),
            sigma_m=UNSET if pose.sigma_m is None else pose.sigma_m.tolist(),
            told=UNSET if pose.told is None else pose.told,
        )


class JsonlWriter:
    """Writes JSON lines."""

    def __init__(self, path: Path, facts: RecordingFacts):
        self.messages, self.file, self.encoder = Messages(facts), open(path, "wb"), msgspec.json.Encoder()

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Write one line."""
        self.file.write(self.encoder.encode(self.messages.message(pose)) + b"\n")

    def finish(self) -> None:
        """Close the file."""
        self.file.close()

    def close(self) -> None:
        """Let the file go."""
        close_quietly(self.file)
