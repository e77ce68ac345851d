"""Recordings that tests make up, without a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.calibration.file import as_json, canonical_calibration
from egostream.config import RunConfig, as_toml
from egostream.handover.picture_ring import Picture
from egostream.publish.message import PoseMessage, pose_message
from egostream.record.layout import StreamAbout
from egostream.record.writer import RecordingWriter
from egostream.types import Pose

FRAME_NS = 33_333_333
T0_NS = 5_000_000_000


def about(name: str = "0", **settings) -> StreamAbout:
    """A stream of the canonical camera."""
    return StreamAbout(name, as_json(canonical_calibration()), as_toml(RunConfig(**settings)))


def made_pose(seq: int, stream: str = "0") -> PoseMessage:
    """A pose whose numbers tell its ``seq``."""
    rng = np.random.default_rng(seq)
    joints, keypoints = rng.normal(size=(15, 3)).astype(np.float32), rng.uniform(0, 1000, (15, 2))
    t_ns = T0_NS + seq * FRAME_NS
    pose = Pose(seq, t_ns, joints, keypoints, rng.uniform(size=15), {}, t_ns, seq > 0, (seq,))
    return pose_message(stream, pose, "w" * 64, 0)


def made_picture(seq: int) -> Picture:
    """A JPEG's beginning, and random bytes: nobody decodes it."""
    data = b"\xff\xd8" + np.random.default_rng(seq).bytes(2000)
    return Picture(seq + 1, seq, 0, T0_NS + seq * FRAME_NS, "jpeg", data)


def write_recording(path: Path, count: int = 20, streams: tuple[str, ...] = ("0",)) -> list[PoseMessage]:
    """A recording of so many frames. Returns its poses."""
    writer, poses = RecordingWriter(path, [about(name) for name in streams], {"weights": "w" * 64}), []
    for seq in range(count):
        for name in streams:
            poses.append(made_pose(seq, name))
            writer.add_picture(name, made_picture(seq), poses[-1])
            writer.add_pose(poses[-1])
        if seq % 5 == 4:
            writer.attempt(writer.writer.flush)
    writer.finish({"reason": "it was stopped"})
    return poses
