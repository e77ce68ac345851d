"""What live cameras share: a thread that keeps the newest frame, and numbering across re-opens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from egostream.capture.camera import CameraLost
from egostream.config import RunConfig
from egostream.types import CameraFrame

WATCHDOG_S = 2.0  # without a fresh frame for this long, the camera is lost


FIRST_FRAME_S = 10.0  # the first one may take longer: a stream's next key frame, a camera that warms up


CLOCK_SLACK_NS = 1_000_000_000


class NewestReader:
    """A thread that reads on and keeps the newest frame only, so that no driver queue can grow stale."""

    def __init__(self, capture: cv2.VideoCapture, is_raw: bool, has_driver_clock: bool):
        self.capture, self.is_raw, self.has_driver_clock = capture, is_raw, has_driver_clock
        self.changed = threading.Condition()
        self.newest: tuple[int, int, np.ndarray] | None = None  # count, stamp, data
        self.count = 0
        self.failure = ""
        self.is_stopping = False
        self.thread = threading.Thread(target=self.run, name="camera-reader", daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_stopping:
            if not self.capture.grab():
                return self.fail("the device returned no frame")
            stamp = self.stamp(time.monotonic_ns())
            ok, data = self.capture.retrieve()
            if not ok or data is None:
                continue  # one bad frame; the watchdog ends a run of them
            with self.changed:
                self.count += 1
                self.newest = (self.count, stamp, data.reshape(-1) if self.is_raw else data)
                self.changed.notify()

    def stamp(self, now: int) -> int:
        """The driver's capture time when it is on our clock and not older than a second, else the dequeue time."""
        driver = int(self.capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6) if self.has_driver_clock else 0
        self.has_driver_stamps = 0 < now - driver < CLOCK_SLACK_NS
        return driver if self.has_driver_stamps else now

    def fail(self, reason: str):
        with self.changed:
            self.failure = reason
            self.changed.notify()

    def next(self, after: int) -> tuple[int, int, np.ndarray]:
        """The newest frame with a count above ``after``, waiting for it. Raises CameraLost."""
        patience_s = WATCHDOG_S if after else FIRST_FRAME_S
        with self.changed:
            fresh = self.changed.wait_for(lambda: self.failure or (self.newest and self.newest[0] > after), patience_s)
            if self.failure:
                raise CameraLost(self.failure)
            if not fresh:
                raise CameraLost(f"no fresh frame for {patience_s:g} s")
            return self.newest

    def stop(self) -> None:
        """End the thread and release the capture. A driver that hangs in a read keeps both until the process ends."""
        self.is_stopping = True
        self.thread.join(timeout=1.0)
        if not self.thread.is_alive():
            self.capture.release()


class LiveCamera:
    """What devices and network streams share: the newest-frame reader, and numbering across re-opens."""

    is_live, is_paced = True, False
    has_driver_clock = False  # whether the backend reports capture times, not positions in a stream

    def __init__(self, config: RunConfig, seq: int, segment: int, say: Callable[[str], None]):
        self.config, self.say = config, say
        self.seq, self.segment = seq, segment
        self.reader: NewestReader | None = None
        self.mode = ""

    def open(self):
        capture = self.open_capture()
        self.taken = 0
        self.reader = NewestReader(capture, self.is_raw, self.has_driver_clock)

    def read(self):
        count, stamp, data = self.reader.next(self.taken)
        self.seq += count - self.taken - 1  # frames that a newer one replaced before we looked
        self.taken = count
        frame = CameraFrame(self.seq, self.segment, stamp, data)
        self.seq += 1
        return frame

    def close(self):
        if self.reader is not None:
            self.reader.stop()
            self.reader = None
            self.segment += 1
