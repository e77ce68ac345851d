"""One recording to its files: poses of every frame, written whole or not at all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from egostream.annotate.closing import close_quietly
from egostream.annotate.contract import PoseWriter, RecordingFacts, facts_of
from egostream.annotate.formats import FORMATS, OVERLAYS, format_of
from egostream.annotate.pictures import recorded_pictures
from egostream.annotate.places import CannotWrite, drafts_of, fetched, writing
from egostream.annotate.plan import Job
from egostream.annotate.smooth import smoothed
from egostream.errors import EgostreamError, first_line
from egostream.redact import without_password
from egostream.track.in_process import InProcessStream
from egostream.track.recorded import Counts, RecordedPoses
from egostream.types import Pose

#: How often progress is told, seconds.
TELL_S = 0.2

#: Takes the part of a recording that is done, 0..1, and its poses so far.
Tell = Callable[[float, int], None]
#: A pose, and the picture that it was made of where somebody wants it.
PoseAndPicture = tuple[Pose, np.ndarray | None]


@dataclass(frozen=True)
class Report:
    """What came of one recording."""

    source: str
    outputs: tuple[str, ...] = ()  # files that were written
    frames: int = 0
    poses: int = 0
    bad: dict[str, int] = field(default_factory=dict)  # frames without a pose, by reason
    confidence: float = 0.0  # mean over joints and poses
    seconds: float = 0.0  # that it took
    notes: tuple[str, ...] = ()  # what is odd about it
    error: str = ""  # why nothing came out; empty: something did
    is_fatal: bool = False  # whether the others would fail for the same reason


def annotate(stream: InProcessStream, job: Job, tell: Tell) -> Report:
    """Annotate one recording. What goes wrong with it is in the report; nothing is written then."""
    begun, notes, counts = time.monotonic(), list[str](), Counts()
    error, is_fatal = "", False
    try:
        with fetched(job.source) as source, drafts_of(job.places) as drafts:
            recorded = RecordedPoses(stream, source, notes.append, job.wants_pictures and not job.is_smoothed)
            counts = recorded.counts
            poses = told(recorded, tell)
            if job.is_smoothed:
                poses = with_pictures(smoothed([pose for pose, _ in poses], recorded.breaks), recorded, job)
            facts = facts_of(stream.setup, job.source, stream.estimator.streams[0].has_rays, job.is_smoothed)
            write_all(job, drafts, facts, poses)
            if not counts.poses:
                raise EgostreamError(nothing_usable(job.source, recorded.counts, notes))
    except EgostreamError as problem:
        error, is_fatal = first_line(problem), isinstance(problem, CannotWrite)
    return Report(
        without_password(job.source),
        () if error else tuple(without_password(place) for place in job.places),
        counts.frames,
        counts.poses,
        counts.bad,
        counts.confidence,
        time.monotonic() - begun,
        tuple(notes),
        error,
        is_fatal,
    )


def nothing_usable(source: str, counts: Counts, notes: Sequence[str]) -> str:
    """Why a recording gave no pose at all."""
    why = counts.first_bad or (notes[-1] if notes else "it is empty")
    return f"{without_password(source)} has no usable frame: {why}"


def told(recorded: RecordedPoses, tell: Tell) -> Iterator[PoseAndPicture]:
    """The poses of a recording, telling now and then how far it is."""
    next_s = 0.0
    for pose_and_picture in recorded:
        yield pose_and_picture
        if (now := time.monotonic()) >= next_s:
            next_s = now + TELL_S
            tell(recorded.fraction, recorded.counts.poses)


def with_pictures(poses: list[Pose], recorded: RecordedPoses, job: Job) -> Iterator[PoseAndPicture]:
    """Smoothed poses with their pictures, which are read a second time: holding all would fill the memory."""
    if not job.wants_pictures:
        yield from ((pose, None) for pose in poses)
        return
    with contextlib.closing(recorded_pictures(recorded.recording)) as pictures:
        for pose in poses:
            yield pose, next(picture for number, picture in pictures if number == pose.seq)


def write_all(job: Job, drafts: Sequence[Path], facts: RecordingFacts, poses: Iterable[PoseAndPicture]) -> None:
    """Write poses to all files of a job, which are made at the first pose. Raises CannotWrite."""
    formats = [*(format_of(place, FORMATS) for place in job.outputs), *(format_of(o, OVERLAYS) for o in job.overlays)]
    makers = [form.make_writer() for form in formats]
    with contextlib.ExitStack() as stack:
        writers: list[PoseWriter] = []
        for pose, picture in poses:
            if not writers:
                for place, make, draft in zip(job.places, makers, drafts):
                    with writing(place):
                        writers.append(make(draft, facts))
                    stack.callback(close_quietly, writers[-1])
            for place, form, writer in zip(job.places, formats, writers):
                with writing(place):
                    writer.add(pose, picture if form.wants_pictures else None)
        for place, writer in zip(job.places, writers):
            with writing(place):
                writer.finish()
