"""What live cameras share: a thread that keeps the newest frame, and numbering across re-opens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from egostream.capture.camera import CameraLost
from egostream.capture.decode import BadFrame, DamagedFrame
from egostream.capture.repeats import RepeatWatch
from egostream.config import RunConfig
from egostream.types import CameraFrame

#: Without a fresh frame for this long, seconds, the camera is lost. Some drivers repeat the last frame or block for
#: ever when a camera is unplugged, and never say so. Chosen by hand: many frames of the slowest camera; not measured.
WATCHDOG_S = 2.0
#: The first frame may take longer, seconds: a stream's next key frame, a camera that warms up. Chosen by hand; not
#: measured.
FIRST_FRAME_S = 10.0
#: A driver's stamp that is older than this, ns, is of another clock, or of a frame that nobody wants any more. Chosen
#: by hand; not measured.
CLOCK_SLACK_NS = 1_000_000_000
#: Damaged frames that are remembered until somebody is told of them, half a minute of 30 a second; more are one outage.
MOST_DAMAGED = 1000
#: A wait that ends so much later than it should was slept through, seconds, with the whole process or machine. Chosen
#: by hand: processors that are busy hold a process up for less.
STOPPED_S = 0.5
#: Frames that had come while a capture was opened come at once: each sooner than WAITED_S, seconds, and all within
#: BACKLOG_S. Chosen by hand, between what a busy machine holds up a thread for and what a camera of 60 frames a second
#: is waited for; not measured. A stream that never has to be waited for so long loses its first second.
WAITED_S, BACKLOG_S = 0.01, 1.0
#: How long a reader may take to end, seconds, before it is left to itself. Chosen by hand; not measured.
READER_STOP_S = 1.0


class Arrival(NamedTuple):
    """A frame as the reader's thread got it."""

    number: int  # frames since the capture was opened, this one included
    t_capture_ns: int
    data: np.ndarray  # BGR [H, W, 3], or encoded bytes [n]


class Capture(Protocol):
    """What a reader reads: a ``cv2.VideoCapture``, or what behaves like one."""

    def grab(self) -> bool:
        """Wait for a frame; False when none will come any more. Raises CameraLost where it knows why."""

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        """The grabbed frame, and whether there is one. Raises BadFrame for one that must not be used."""

    def get(self, prop: int) -> float:
        """One of OpenCV's properties."""

    def release(self) -> None:
        """Let the device or stream go."""


class NewestReader:
    """A thread that reads on and keeps the newest frame only, so that no driver's queue can grow stale.

    It owns the capture and releases it when it ends. is_raw: the capture hands out encoded bytes. has_driver_clock: it
    reports when frames were taken. watch: sees a camera that hangs; none where a picture may well be repeated.
    reads_ahead: frames that had come while the capture was opened are handed out first. They are left out, since
    nobody knows when they were taken.
    """

    def __init__(
        self,
        capture: Capture,
        is_raw: bool,
        has_driver_clock: bool,
        watch: RepeatWatch | None = None,
        reads_ahead: bool = False,
    ):
        self.is_backlog, self.begun_s = reads_ahead, time.monotonic()
        self.capture, self.is_raw, self.has_driver_clock, self.watch = capture, is_raw, has_driver_clock, watch
        self.has_driver_stamps = False  # of the newest frame
        self.changed = threading.Condition()
        self.newest: Arrival | None = None
        self.count = 0
        self.damaged: deque[str] = deque(maxlen=MOST_DAMAGED)  # what was wrong with frames that nobody was told of yet
        self.whole_s = time.monotonic()  # when the newest came
        self.failure, self.repeated = "", 0
        self.is_stopping = False
        self.thread = threading.Thread(target=self.run, name="camera-reader", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Read until told to stop or until the device fails, then release it."""
        try:
            while not self.is_stopping and not self.failure:
                self.step()
        except Exception as error:  # of a driver's or a decoder's: the camera is lost, and what it said is shown
            self.fail(f"{type(error).__name__}: {error}")
        finally:
            self.capture.release()

    def step(self) -> None:
        """Read one frame: grab, stamp at once, then convert."""
        grab_s = time.monotonic()
        try:
            if not self.capture.grab():
                return self.fail("the device returned no frame")
        except CameraLost as lost:
            return self.fail(str(lost))
        t_capture_ns = self.stamp(time.monotonic_ns())
        if self.is_backlog:
            now_s = time.monotonic()
            self.is_backlog = now_s - grab_s < WAITED_S and now_s - self.begun_s < BACKLOG_S
        try:
            ok, data = self.capture.retrieve()
        except BadFrame as bad:
            return self.tell(str(bad))
        if not ok or data is None or self.is_backlog:
            return None  # one bad frame, or an old one; the watchdog ends a run of them
        data = data.reshape(-1) if self.is_raw else data
        if self.watch and self.watch.is_stuck(data, t_capture_ns / 1e9):
            return self.fail(f"it repeats one picture, {self.watch.repeats} times now", self.watch.repeats)
        with self.changed:
            self.count += 1
            self.newest, self.whole_s = Arrival(self.count, t_capture_ns, data), time.monotonic()
            self.changed.notify()

    def stamp(self, now_ns: int) -> int:
        """When the grabbed frame was taken, ns on our clock.

        The driver's time where that is on our clock and not older than CLOCK_SLACK_NS, else ``now_ns``.
        """
        driver_ns = int(self.capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6) if self.has_driver_clock else 0
        self.has_driver_stamps = 0 < now_ns - driver_ns < CLOCK_SLACK_NS
        return driver_ns if self.has_driver_stamps else now_ns

    def fail(self, reason: str, repeated: int = 0) -> None:
        """Tell whoever waits that no frame will come any more. repeated: as of ``CameraLost``."""
        with self.changed:
            self.failure, self.repeated = reason, repeated
            self.changed.notify()

    def tell(self, damage: str) -> None:
        """Tell whoever waits of a frame that must not be used."""
        if time.monotonic() - self.whole_s > FIRST_FRAME_S:
            self.fail(f"no whole frame for {FIRST_FRAME_S:g} s, the last since {damage}")
        with self.changed:
            self.count += 1
            self.damaged.append(damage)
            self.changed.notify()

    def next(self, after: int) -> Arrival:
        """The newest frame with a number above ``after``, waiting for it.

        Raises DamagedFrame, once for each that there was, and CameraLost.
        """
        patience_s = WATCHDOG_S if after else FIRST_FRAME_S
        has_word = lambda: bool(self.failure or self.damaged or self.has_newer(after))
        with self.changed:
            begun_s = time.monotonic()
            if not self.changed.wait_for(has_word, patience_s) and time.monotonic() - begun_s > patience_s + STOPPED_S:
                self.changed.wait_for(has_word, patience_s)  # this process was stopped meanwhile, not the camera
            if self.damaged:
                raise DamagedFrame(self.damaged.popleft())
            if self.failure:
                raise CameraLost(self.failure, self.repeated)
            if self.newest is None or not self.has_newer(after):
                raise CameraLost(f"no fresh frame for {patience_s:g} s")
            return self.newest

    def has_newer(self, after: int) -> bool:
        """Whether the newest frame has a number above ``after``."""
        return self.newest is not None and self.newest.number > after

    def stop(self) -> None:
        """End the thread, which releases the capture. One that hangs in a read keeps both until the read ends."""
        self.is_stopping = True
        self.thread.join(timeout=READER_STOP_S)


class LiveCamera:
    """What devices and network streams share: the newest-frame reader, and numbering across re-opens.

    A kind of live camera is a class with ``open_capture``, which sets ``mode`` and, where frames come as encoded
    bytes, ``is_raw``.
    """

    is_live, is_paced = True, False
    shows_noise = True  # whether each frame of a real camera comes as other bytes, as ``RepeatWatch`` needs
    reads_ahead = False  # whether frames have come by the time that the capture is open
    has_driver_clock = False  # whether the backend reports capture times, not positions in a stream

    def __init__(self, config: RunConfig, seq: int, segment: int, say: Callable[[str], None]):
        self.config, self.say = config, say
        self.seq, self.segment = seq, segment
        self.reader: NewestReader | None = None
        self.taken = 0  # number of the newest frame that was read since ``open``
        self.watch = RepeatWatch()
        self.mode = ""
        self.is_raw = False

    def open_capture(self) -> Capture:
        """Open the device or stream, and say what comes. Raises EgostreamError."""
        raise NotImplementedError

    def open(self) -> None:
        """Open the camera and start reading. Raises EgostreamError, saying what to try next."""
        capture = self.open_capture()
        self.taken = 0
        self.watch.start()
        watch = self.watch if self.shows_noise else None
        self.reader = NewestReader(capture, self.is_raw, self.has_driver_clock, watch, self.reads_ahead)

    def read(self) -> CameraFrame:
        """Block until a frame newer than the last one read. Raises CameraLost, or DamagedFrame."""
        assert self.reader is not None, "open the camera first"
        arrival = self.reader.next(self.taken)
        self.seq += arrival.number - self.taken - 1  # frames that a newer one replaced before we looked
        self.taken = arrival.number
        frame = CameraFrame(self.seq, self.segment, arrival.t_capture_ns, arrival.data)
        self.seq += 1
        return frame

    def close(self) -> None:
        """Let the camera go. The next time it is open is a new segment."""
        if self.reader is not None:
            self.reader.stop()
            self.reader = None
            self.segment += 1
