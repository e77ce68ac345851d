"""A whole recording's poses: every frame, in order, none skipped, by the recording's own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from egostream.capture.camera import Pace
from egostream.capture.clips import Recording, Video
from egostream.capture.decode import BadFrame, WrongSize
from egostream.capture.recording import RecordingCamera
from egostream.capture.sources import check_source, is_live, recording_of
from egostream.errors import EgostreamError
from egostream.infer.mount import MountCheck
from egostream.redact import without_password
from egostream.track.in_process import InProcessStream
from egostream.track.read_ahead import ReadAhead
from egostream.types import NetworkInput, Pose

NOT_FINITE = "not finite"


@dataclass
class Counts:
    """What became of a recording's frames so far."""

    frames: int = 0  # that the recording has, usable or not
    poses: int = 0
    bad: dict[str, int] = field(default_factory=dict)  # frames without a pose, by reason
    first_bad: str = ""  # what was wrong with the first of them
    confidence_sum: float = 0.0

    @property
    def confidence(self) -> float:
        """Mean over the joints of all poses; 0 before the first."""
        return self.confidence_sum / self.poses if self.poses else 0.0

    def add_bad(self, reason: str, text: str) -> None:
        """Count a frame that no pose came of."""
        self.frames += 1
        self.bad[reason] = self.bad.get(reason, 0) + 1
        self.first_bad = self.first_bad or text

    def add_pose(self, pose: Pose) -> None:
        """Count a pose."""
        self.frames += 1
        self.poses += 1
        self.confidence_sum += float(pose.confidence.mean())


class RecordedPoses:
    """Iterates over (pose, picture) of every usable frame of a recording; picture is None unless asked for.

    ``t_capture_ns`` counts from the recording's first frame, ``seq`` is the frame's number in it. All poses are finite.
    The poses are those of ``egostream run --every-frame`` on the same engine, bit for bit. Raises EgostreamError for a
    source that is no recording, cannot be read, or has another size than the calibration.
    """

    def __init__(self, stream: InProcessStream, source: str, say: Callable[[str], None], keeps_pictures: bool = False):
        """source: as ``--source`` takes it. say: called with each note worth showing."""
        self.stream, self.source, self.say, self.keeps_pictures = stream, source, say, keeps_pictures
        self.counts = Counts()
        self.recording = recording_named(stream, source, say)
        self.camera = RecordingCamera(self.recording, Pace.EVERY_FRAME, False, 0, stream.begin(), say)
        self.breaks: list[int] = []  # numbers of frames that do not continue the one before
        self.expected = 0  # frames, as far as the recording tells without being read through; 0: it does not
        view = stream.rectifier.view
        self.mount = MountCheck(view) if stream.has_heatmaps else None

    def __iter__(self) -> Iterator[tuple[Pose, np.ndarray | None]]:
        self.camera.open()
        try:
            self.camera.t_start_ns = 0  # its own clock, from its first frame on
            self.expected = expected_count(self.recording)
            with ReadAhead(self.camera, self.stream, self.keeps_pictures) as frames:
                yield from self.poses(frames)
        except OSError as error:
            raise EgostreamError(
                f"{without_password(self.source)} cannot be read on at frame {self.counts.frames}: {error.strerror}"
            ) from None
        finally:
            self.camera.close()
            self.stream.next_segment = max(self.stream.next_segment, self.camera.segment)
        if self.mount is not None and (text := self.mount.text()):
            self.say(text)

    def poses(self, frames: ReadAhead) -> Iterator[tuple[Pose, np.ndarray | None]]:
        """The pose of each frame that has one."""
        for read in frames:
            if isinstance(read, BadFrame):
                self.note_bad(read)
                continue
            pose = self.estimate(read.network_input)
            if not pose.is_finite:
                self.counts.add_bad(NOT_FINITE, self.not_finite_text())
                continue
            self.check_mount(read.network_input, pose)
            self.counts.add_pose(pose)
            yield pose, read.picture

    def estimate(self, network_input: NetworkInput) -> Pose:
        """The pose of the next frame, and whether it continues the one before."""
        state = self.stream.estimator.streams[0]
        resets = state.resets
        pose = self.stream.estimate(network_input)
        if state.resets > resets:
            self.breaks.append(pose.seq)
        return pose

    def note_bad(self, bad: BadFrame) -> None:
        """Count a frame that cannot be used. Raises EgostreamError where no other one will be usable."""
        if isinstance(bad, WrongSize) and not self.counts.poses:
            raise EgostreamError(f"{without_password(self.source)} cannot be used: {bad}")
        self.counts.add_bad(bad.reason.value, str(bad))

    def not_finite_text(self) -> str:
        """Why there is no pose although the frame is whole."""
        precision = self.stream.setup.precision
        return f"the network gave values that are not finite, in {precision}. Try --precision fp32, or other weights"

    def check_mount(self, network_input: NetworkInput, pose: Pose) -> None:
        """Look whether the picture is upright, as a run does."""
        if self.mount is None:
            return
        self.mount.saw(network_input, pose.confidence)
        while self.mount.wanted is not None:
            self.mount.looked(self.stream.estimator.look(self.mount.wanted)[1])

    @property
    def fraction(self) -> float:
        """The part of the recording that is done, 0..1; 0 where its length is not known."""
        return min(1.0, self.counts.frames / self.expected) if self.expected else 0.0


def recording_named(stream: InProcessStream, source: str, say: Callable[[str], None]) -> Recording:
    """The recording behind a source. Raises EgostreamError for what is none."""
    check_source(source)
    refuse_live(source)
    return recording_of(msgspec.structs.replace(stream.setup.streams[0].config, source=source), say)


def refuse_live(source: str) -> None:
    """Raise EgostreamError for a camera or a live stream."""
    if is_live(source):
        name = without_password(source)
        raise EgostreamError(f"{name} is a live camera, which has no end. Watch it: egostream run --source {name}")


def expected_count(recording: Recording) -> int:
    """Frames of an open recording, as it tells without being read through; 0: it does not tell."""
    return recording.likely_count if isinstance(recording, Video) else recording.count
