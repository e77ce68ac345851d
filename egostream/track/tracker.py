"""``Tracker``: poses for other people's programs. NumPy in, a typed pose out, in this process, without sockets."""

from __future__ import annotations

import logging
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from egostream.capture.decode import BadFrame
from egostream.config import RunConfig, load_config
from egostream.errors import EgostreamError
from egostream.supervise.prepare import prepare_poses
from egostream.told import NOTHING, Told
from egostream.track.errors import FrameUnusable, NotFinite, TrackerBusy, TrackerClosed
from egostream.track.in_process import InProcessStream
from egostream.track.recorded import RecordedPoses
from egostream.track.tell import plain_told
from egostream.types import CameraFrame, Pose

#: Settings of a run that a tracker takes, beside calibration and weights.
SETTINGS = (
    "assume_canonical", "rotate", "flip", "force", "fps", "engines", "backend", "preset", "precision", "temporal",
    "motion", "rays", "stature", "filter", "filter_cutoff_hz", "filter_beta", "threads",
)  # fmt: skip
#: What stands for the source in a tracker's settings: frames come one by one. Only "sample" would mean anything.
FRAMES = "frames"
LOG = logging.getLogger("egostream")


class Tracker:
    """Estimates the poses of one camera, frame by frame.

        with Tracker(calibration="my_headset.json") as tracker:
            pose = tracker(frame_bgr, t_ns)  # egostream.Pose
            pose.joints                      # [15, 3] metres, camera axes: x right, y down, z forward

    The estimator is that of ``egostream run``: the same frames give the same poses as ``run --every-frame``, bit for
    bit, with the same settings on the same machine.

    Not thread-safe, and it says so: it belongs to the thread that made it, and raises TrackerBusy in any other.
    """

    def __init__(
        self,
        calibration: str | Path = "",
        weights: str | Path = "",
        *,
        say: Callable[[str], None] = LOG.warning,
        **settings: Any,
    ):
        """Check the settings and load the engines, which are compiled first where they are missing.

        calibration: file of the camera (calib/README.md); none with ``assume_canonical=True``. weights: folder; empty:
        the shipped ones. say: called with each note worth showing. settings: any of ``SETTINGS``, as ``egostream run``
        has them. Raises EgostreamError that names what does not fit.
        """
        self.owner = os.getpid(), threading.get_ident()
        self.say, self.seq, self.is_following, self.has_said_untold = say, 0, False, False
        config = tracker_config(str(calibration), str(weights), settings)
        self.stream: InProcessStream | None = InProcessStream(prepare_poses(config, say), say)
        self.segment = self.stream.begin()

    def __call__(self, frame: np.ndarray | bytes, t_ns: int, told: Told = NOTHING) -> Pose:
        """The pose of a camera's next frame, captured at ``t_ns``.

        frame: BGR pixels, uint8 [H, W, 3], of the calibration's size, or the bytes of an encoded image, uint8 [n]. A
        JPEG is decoded at a reduced size, which is faster. t_ns: integer nanoseconds of any clock that runs on; a frame
        that is not later than the one before, or much later, begins anew, as ``reset`` does. told: what is known of
        the frame beside the picture; ``pose.told`` is what the network took of it. Weights with a backbone take
        nothing, and ``say`` is told so once.

        Raises FrameUnusable for a frame that no pose comes of, and NotFinite where the network failed; the next frame
        is none the worse for either. Raises EgostreamError for a time or something told that is none, TrackerBusy and
        TrackerClosed.
        """
        stream = self.usable()
        told = self.taken(told)
        camera_frame = CameraFrame(self.seq, self.segment, whole_ns(t_ns), picture(frame), has_host_stamp=False)
        self.seq += 1
        try:
            pose = stream.estimate(stream.prepare(camera_frame, time.monotonic_ns()), told)
        except BadFrame as bad:
            raise FrameUnusable(f"frame {camera_frame.seq}: {bad}", bad.reason) from None
        if not pose.is_finite:
            raise NotFinite(
                f"frame {camera_frame.seq}: the network gave values that are not finite, in {stream.setup.precision}. "
                'Try precision="fp32", or other weights'
            )
        return pose

    def taken(self, told: Told) -> Told:
        """What the weights take of what is told. Raises EgostreamError for what is no number."""
        told = plain_told(told)
        if told.is_empty or self.usable().is_told:
            return told
        if not self.has_said_untold:
            self.say("these weights have a backbone: they take nothing told, and poses are made of pictures alone")
        self.has_said_untold = True
        return NOTHING

    def reset(self) -> None:
        """Forget the past: the next frame is the first of another recording. Raises TrackerBusy, TrackerClosed."""
        self.segment = self.usable().begin()

    def recording(self, source: str | Path) -> Iterator[Pose]:
        """The poses of every usable frame of a recording: a video, a folder of images, or "sample".

        ``pose.seq`` is the frame's number, ``pose.t_capture_ns`` counts from the first frame. Frames are read ahead in
        a thread. Frames that cannot be used are left out, and ``say`` is told. Raises EgostreamError for a source that
        is no recording, TrackerBusy and TrackerClosed.
        """
        recorded = RecordedPoses(self.usable(), str(source), self.say)
        with self.following():
            for pose, _ in recorded:
                yield pose
        if recorded.counts.bad:
            self.say(f"{source}: {sum(recorded.counts.bad.values())} frames left out: {recorded.counts.first_bad}")

    @contextmanager
    def following(self) -> Iterator[None]:
        """While a recording is followed, nothing else may be asked."""
        self.is_following = True
        try:
            yield
        finally:
            self.is_following = False
            if self.stream is not None:
                self.segment = self.stream.begin()

    def usable(self) -> InProcessStream:
        """The stream, if it may be used here and now. Raises TrackerBusy, TrackerClosed."""
        if self.stream is None:
            raise TrackerClosed("this Tracker is closed. Make another one")
        if self.owner != (os.getpid(), threading.get_ident()):
            raise TrackerBusy(
                "this Tracker belongs to the thread that made it. Make it in the thread that uses it, one for each"
            )
        if self.is_following:
            raise TrackerBusy("this Tracker follows a recording. Go on when that has ended, or make another one")
        return self.stream

    def close(self) -> None:
        """Let the engines go. Closing one that is closed does nothing."""
        self.stream = None

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tracker_config(calibration: str, weights: str, settings: dict[str, Any]) -> RunConfig:
    """A run's settings from a tracker's. Raises EgostreamError for one that it does not have."""
    if unknown := sorted(set(settings) - set(SETTINGS)):
        raise EgostreamError(
            f"Tracker has no setting {unknown[0]!r}. It has calibration, weights, {', '.join(SETTINGS)}"
        )
    if not calibration and not settings.get("assume_canonical"):
        raise EgostreamError(
            "Tracker has no calibration, and guessing a lens gives wrong poses. Give calibration=FILE, made by "
            "python tools/calibrate.py, or assume_canonical=True"
        )
    return load_config(None, {"source": FRAMES, "calibration": calibration, "weights": weights, **settings})


def whole_ns(t_ns: int) -> int:
    """A time as a Python integer. Raises EgostreamError for what is none."""
    try:
        return operator.index(t_ns)
    except TypeError:
        raise EgostreamError(f"t_ns is {t_ns!r}; give the capture time in integer nanoseconds") from None


def picture(frame: np.ndarray | bytes) -> np.ndarray:
    """A frame as the pipeline takes it, contiguous. Raises FrameUnusable for what is no picture."""
    data = np.frombuffer(frame, np.uint8) if isinstance(frame, bytes | bytearray | memoryview) else frame
    is_array = isinstance(data, np.ndarray) and data.dtype == np.uint8
    if not is_array or not (data.ndim == 1 or (data.ndim == 3 and data.shape[2] == 3)):
        found = f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(frame).__name__
        raise FrameUnusable(f"a frame is BGR pixels, uint8 [H, W, 3], or an image's bytes, uint8 [n]; this is {found}")
    return np.ascontiguousarray(data)
