"""Whether a recording's pictures give its poses again, bit for bit: a test of all that lies between the two.

The pictures go the way of any run's: recording, decoding, rectifying, estimator, refiner, message. What a live run
decided by the clock comes from the recording: which frames were estimated, and when motion was made.

A pose can be checked when all that it came from is in the file. That is so from the first pose without a past on, until
one lacks its picture, or a part of the file is lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec import UNSET

from egostream.capture.camera import Pace
from egostream.capture.decode import BadFrame, prepare
from egostream.capture.jpeg import Habit
from egostream.capture.mcap_recording import McapRecording
from egostream.capture.recording import RecordingCamera
from egostream.capture.rectify import Rectifier
from egostream.infer.estimator import Estimator
from egostream.infer.load import load_estimator
from egostream.publish.message import PoseMessage, pose_message
from egostream.record.reader import RecordedFrame, RecordingReader
from egostream.run_setup import RunSetup
from egostream.skeleton import JOINTS
from egostream.told import NOTHING, Told
from egostream.types import Pose

#: What must be equal, and what each of a joint's numbers is called.
FIELDS = {"joints": ("x", "y", "z"), "keypoints": ("x", "y"), "confidence": ("",)}


@dataclass
class Verdict:
    """What a check of one stream found."""

    stream: str
    equal: int = 0
    unequal: int = 0
    unchecked: int = 0  # poses of which something is not in the file
    first: str = ""  # the first difference
    largest_mm: float = 0.0  # of all differences between joints
    damage: str = ""

    @property
    def is_identical(self) -> bool:
        """Whether poses were checked, and all of them were equal."""
        return self.equal > 0 and not self.unequal

    def text(self) -> str:
        """What was found, in a line or two."""
        lines = [f"stream {self.stream}: {self.summary()}"]
        if self.unchecked:
            lines.append(f"{self.unchecked} poses could not be checked: what they came from is not all in the file")
        if self.damage:
            lines.append(f"the file is not whole: {self.damage}")
        return "; ".join(lines)

    def summary(self) -> str:
        """The first of it."""
        if self.unequal:
            total = self.equal + self.unequal
            return (
                f"{self.unequal} of {total} poses differ, joints by up to {self.largest_mm:.3g} mm. "
                f"The first: {self.first}"
            )
        return f"{self.equal} poses are identical" if self.equal else "no pose could be checked"


def check_recording(
    path: Path, stream: str, setup: RunSetup, say: Callable[[str], None], on_pose: Callable[[int], None]
) -> Verdict:
    """Compare a stream's recorded poses with those that its pictures give.

    setup: of a run that has this stream alone, at every-frame. on_pose: called with the number of poses so far.
    Raises EgostreamError where the recording or the engines cannot be read.
    """
    verdict = Verdict(stream)
    camera = RecordingCamera(McapRecording(path, stream), Pace.EVERY_FRAME, False, 0, 0, say)
    camera.open()
    rectifier = Rectifier(setup.streams[0].view(setup.weights.input))
    teller = TellsRecorded()
    estimator = load_estimator(setup, say, lambda: None, tellers=[teller])
    known = Known()
    reader = RecordingReader(path)
    waiting: RecordedFrame | None = None  # what its pose was told is in the message that follows it
    for entry in reader.entries(stream):
        if isinstance(entry, RecordedFrame):
            if waiting:
                replayed(camera, rectifier, estimator, waiting)
            waiting = entry
        elif isinstance(entry.message, PoseMessage):
            teller.told = NOTHING if entry.message.told is UNSET else entry.message.told
            found = replayed(camera, rectifier, estimator, waiting) if waiting else None
            waiting, teller.told = None, NOTHING
            found = found if found and found.seq == entry.message.seq else None
            if known.after(entry.message, has_frame=found is not None) and found is not None:
                compare(verdict, entry.message, found)
            else:
                verdict.unchecked += 1
            on_pose(verdict.equal + verdict.unequal + verdict.unchecked)
    camera.close()
    verdict.damage = reader.damage
    return verdict


class TellsRecorded:
    """The ``Teller`` of a recorded stream: what its poses were told, one after another."""

    told = NOTHING

    def tells(self, t_ns: int, step_ns: int) -> Told:
        """What was told of the frame at hand."""
        return self.told


@dataclass
class Known:
    """Whether all that a pose came from is in the file."""

    is_known: bool = False
    before: PoseMessage | None = None
    seqs: set[int] = field(default_factory=set)  # frames since the last pose without a past

    def after(self, pose: PoseMessage, has_frame: bool) -> bool:
        """Take note of the next pose, and say whether it can be checked."""
        before = self.before
        if not pose.continues:
            self.is_known = True
            self.seqs.clear()
        elif before is not None and missing_between(before, pose):
            self.is_known = False
        self.is_known &= has_frame
        self.seqs.add(pose.seq)
        self.is_known &= self.seqs.issuperset(pose.motions)
        self.before = pose
        return self.is_known


def missing_between(before: PoseMessage, after: PoseMessage) -> int:
    """How many poses a file lacks between two: frames that were neither dropped nor are there."""
    return after.seq - before.seq - 1 - max(0, after.dropped_frames - before.dropped_frames)


def replayed(
    camera: RecordingCamera, rectifier: Rectifier, estimator: Estimator, recorded: RecordedFrame
) -> PoseMessage:
    """The pose of the camera's next frame, ``recorded``, as a message. One that cannot be decoded has no joints."""
    frame = camera.read()
    try:
        network_input = prepare(frame, rectifier, frame.t_capture_ns, Habit())  # each was found usable before
    except BadFrame:
        nothing = np.zeros((0, 3))
        pose = Pose(recorded.record.seq, frame.t_capture_ns, nothing, nothing, nothing)
    else:
        pose = dataclasses.replace(estimator.estimate(network_input), seq=recorded.record.seq)
    return pose_message(recorded.stream, pose, "", 0)


def compare(verdict: Verdict, recorded: PoseMessage, found: PoseMessage) -> None:
    """Note whether two poses are equal to the bit."""
    difference = first_difference(recorded, found)
    verdict.equal += not difference
    verdict.unequal += bool(difference)
    if difference:
        verdict.first = verdict.first or f"frame {recorded.seq}, {difference}"
        if found.joints:
            apart = np.abs(np.array(recorded.joints) - np.array(found.joints)).max()
            verdict.largest_mm = max(verdict.largest_mm, 1000 * float(apart))


def first_difference(recorded: PoseMessage, found: PoseMessage) -> str:
    """The first number in which two poses differ, and both values; empty where they are equal."""
    if not found.joints:
        return "its picture cannot be decoded"
    for name, axes in FIELDS.items():
        was, now = (np.array(getattr(pose, name), float).reshape(len(JOINTS), -1) for pose in (recorded, found))
        unequal = np.argwhere(~((was == now) | (np.isnan(was) & np.isnan(now))))
        if len(unequal):
            joint, axis = unequal[0]
            where = f"{name}[{JOINTS[joint]}]" + (f".{axes[axis]}" if axes[axis] else "")
            return f"{where}: recorded {float(was[joint, axis])!r}, replayed {float(now[joint, axis])!r}"
    return ""
