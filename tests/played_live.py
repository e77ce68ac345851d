"""A live run's recording, made in process: the real estimator over the sample's pictures, its clock by chance."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sample_clip import sample_images

from egostream.capture.decode import prepare
from egostream.capture.jpeg import Habit
from egostream.capture.rectify import Rectifier
from egostream.handover.picture_ring import Picture
from egostream.infer.load import load_estimator
from egostream.publish.figures import StreamStats
from egostream.publish.message import pose_message
from egostream.record.layout import StreamAbout
from egostream.record.writer import RecordingWriter
from egostream.run_setup import RunSetup
from egostream.supervise.describe import description
from egostream.types import CameraFrame, Stage

FRAME_NS = 33_333_333


def abouts(setup: RunSetup) -> list[StreamAbout]:
    """What a run tells a recorder of its streams."""
    answers = [description(setup, number) for number in range(len(setup.streams))]
    return [
        StreamAbout(stream.config.stream, answer["calibration"], answer["config"])
        for stream, answer in zip(setup.streams, answers)
    ]


def play_live(
    path: Path, setup: RunSetup, frames: int = 40, seed: int = 0, reset_at: int = -1, lost: tuple[int, ...] = ()
) -> list[tuple[int, ...]]:
    """Record a live run of all streams of a setup. Returns the frames whose motion each pose came from.

    Frames are dropped by chance, others wait by chance, so that motion is put off. The camera begins anew at two
    thirds. reset_at: the past is forgotten there, as by request. lost: frames whose picture is not kept.
    """
    rng, images = np.random.default_rng(seed), sample_images()
    one = load_estimator(setup, lambda line: None, lambda: None, range(len(setup.streams)), lambda: rng.random() < 0.6)
    rectifiers = [Rectifier(stream.view(setup.weights.input)) for stream in setup.streams]
    writer = RecordingWriter(
        path, abouts(setup), {"weights": setup.weights.id, "backend": setup.backend, "precision": setup.precision}
    )
    stats, motions = [StreamStats() for _ in setup.streams], []
    for seq in range(frames):
        if seq == reset_at:
            for stream in one.streams:
                stream.reset()
        segment, t_ns = int(seq >= 2 * frames // 3), 10**9 + seq * FRAME_NS + int(rng.integers(10**6))
        pictures = [
            CameraFrame(seq, segment, t_ns + n, images[(seq + 7 * n) % len(images)]) for n in range(len(rectifiers))
        ]
        inputs = {
            n: prepare(pictures[n], rectifiers[n], t_ns, Habit())
            for n in range(len(rectifiers))
            if seq == 0 or rng.random() < 0.8
        }
        for frame in inputs.values():
            frame.stages_ns[Stage.HANDOVER] = int(rng.choice([0, 10**7]))
        for number, frame in inputs.items():
            stats[number].arrived(frame.seq)
        for number, pose in one.poses(inputs):
            stats[number].published(time.monotonic_ns(), 0, 0.0)
            message = pose_message(
                setup.streams[number].config.stream, pose, setup.weights.id, stats[number].dropped_frames
            )
            if seq not in lost:
                data = pictures[number].data.tobytes()
                writer.add_picture(
                    message.stream, Picture(seq + 1, seq, segment, pose.t_capture_ns, "jpeg", data), message
                )
            writer.add_pose(message)
            motions.append(pose.motions)
        one.catch_up()
        if seq % 8 == 7:
            writer.attempt(writer.writer.flush)
    writer.finish({"reason": "it was stopped"})
    return motions
