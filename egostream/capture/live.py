"""What live cameras share: a thread that keeps the newest frame, and numbering across re-opens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from egostream.capture.camera import CameraLost
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
#: How long a reader may take to end, seconds, before it is left to itself. Chosen by hand; not measured.
READER_STOP_S = 1.0


class Arrival(NamedTuple):
    """A frame as the reader's thread got it."""

    number: int  # frames since the capture was opened, this one included
    t_capture_ns: int
    data: np.ndarray  # BGR [H, W, 3], or encoded bytes [n]


class NewestReader:
    """A thread that reads on and keeps the newest frame only, so that no driver's queue can grow stale.

    is_raw: the capture hands out encoded bytes. has_driver_clock: it reports when frames were taken.
    """

    def __init__(self, capture: cv2.VideoCapture, is_raw: bool, has_driver_clock: bool):
        self.capture, self.is_raw, self.has_driver_clock = capture, is_raw, has_driver_clock
        self.has_driver_stamps = False  # of the newest frame
        self.changed = threading.Condition()
        self.newest: Arrival | None = None
        self.count = 0
        self.failure = ""
        self.is_stopping = False
        self.thread = threading.Thread(target=self.run, name="camera-reader", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Read until told to stop or until the device fails: grab, stamp at once, then convert."""
        while not self.is_stopping:
            if not self.capture.grab():
                return self.fail("the device returned no frame")
            t_capture_ns = self.stamp(time.monotonic_ns())
            ok, data = self.capture.retrieve()
            if not ok or data is None:
                continue  # one bad frame; the watchdog ends a run of them
            with self.changed:
                self.count += 1
                self.newest = Arrival(self.count, t_capture_ns, data.reshape(-1) if self.is_raw else data)
                self.changed.notify()

    def stamp(self, now_ns: int) -> int:
        """When the grabbed frame was taken, ns on our clock.

        The driver's time where that is on our clock and not older than CLOCK_SLACK_NS, else ``now_ns``.
        """
        driver_ns = int(self.capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6) if self.has_driver_clock else 0
        self.has_driver_stamps = 0 < now_ns - driver_ns < CLOCK_SLACK_NS
        return driver_ns if self.has_driver_stamps else now_ns

    def fail(self, reason: str) -> None:
        """Tell whoever waits that no frame will come any more."""
        with self.changed:
            self.failure = reason
            self.changed.notify()

    def next(self, after: int) -> Arrival:
        """The newest frame with a number above ``after``, waiting for it. Raises CameraLost."""
        patience_s = WATCHDOG_S if after else FIRST_FRAME_S
        with self.changed:
            self.changed.wait_for(lambda: self.failure or self.has_newer(after), patience_s)
            if self.failure:
                raise CameraLost(self.failure)
            if self.newest is None or not self.has_newer(after):
                raise CameraLost(f"no fresh frame for {patience_s:g} s")
            return self.newest

    def has_newer(self, after: int) -> bool:
        """Whether the newest frame has a number above ``after``."""
        return self.newest is not None and self.newest.number > after

    def stop(self) -> None:
        """End the thread and release the capture. A driver that hangs in a read keeps both until the process ends."""
        self.is_stopping = True
        self.thread.join(timeout=READER_STOP_S)
        if not self.thread.is_alive():
            self.capture.release()


class LiveCamera:
    """What devices and network streams share: the newest-frame reader, and numbering across re-opens.

    A kind of live camera is a class with ``open_capture``, which sets ``mode`` and, where frames come as encoded
    bytes, ``is_raw``.
    """

    is_live, is_paced = True, False
    has_driver_clock = False  # whether the backend reports capture times, not positions in a stream

    def __init__(self, config: RunConfig, seq: int, segment: int, say: Callable[[str], None]):
        self.config, self.say = config, say
        self.seq, self.segment = seq, segment
        self.reader: NewestReader | None = None
        self.taken = 0  # number of the newest frame that was read since ``open``
        self.mode = ""
        self.is_raw = False

    def open_capture(self) -> cv2.VideoCapture:
        """Open the device or stream as OpenCV has it, and say what comes. Raises EgostreamError."""
        raise NotImplementedError

    def open(self) -> None:
        """Open the camera and start reading. Raises EgostreamError, saying what to try next."""
        capture = self.open_capture()
        self.taken = 0
        self.reader = NewestReader(capture, self.is_raw, self.has_driver_clock)

    def read(self) -> CameraFrame:
        """Block until a frame newer than the last one read. Raises CameraLost."""
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
