"""A camera is lost when it is silent, not when whoever waits for it was stopped."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from processes import wait_for

from egostream.capture.camera import CameraLost
from egostream.capture.decode import DamagedFrame
from egostream.capture.live import STOPPED_S, WATCHDOG_S, Arrival, LiveCamera, NewestReader
from egostream.config import RunConfig

FRAME = Arrival(2, 0, np.zeros(1, np.uint8))


class Waits(threading.Condition):
    """A condition whose waits take as long as they are told to. Behind the last one, a frame has come."""

    def __init__(self, reader, clock, *lasting_s: float):
        super().__init__()
        self.reader, self.clock, self.lasting_s = reader, clock, list(lasting_s)

    def wait_for(self, predicate, timeout=None):
        self.clock.now_s += self.lasting_s.pop(0)
        if not self.lasting_s:
            self.reader.newest = FRAME
        return predicate()


class SilentCapture:
    """A driver that blocks until it is let go."""

    def __init__(self):
        self.is_over = threading.Event()

    def grab(self) -> bool:
        self.is_over.wait()
        return False

    def release(self) -> None:
        self.is_over.set()


@pytest.fixture
def reader(monkeypatch):
    """A reader of a camera that says nothing, and the clock that its waits go by."""
    capture = SilentCapture()
    made = NewestReader(capture, True, False)
    clock = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr(
        "egostream.capture.live.time", SimpleNamespace(monotonic=lambda: clock.now_s, monotonic_ns=time.monotonic_ns)
    )
    yield made, clock
    capture.release()
    made.thread.join()


def test_a_camera_that_is_silent_is_lost(reader):
    made, clock = reader
    made.changed = Waits(made, clock, WATCHDOG_S + STOPPED_S / 2, 0.0)
    with pytest.raises(CameraLost, match="no fresh frame"):
        made.next(1)


def test_a_wait_that_was_slept_through_is_begun_anew(reader):
    """As of a process that was stopped for an hour, with its camera, and goes on."""
    made, clock = reader
    made.changed = Waits(made, clock, 3600.0, 0.01)
    assert made.next(1) is FRAME


def test_a_camera_that_stays_silent_after_that_is_lost(reader):
    made, clock = reader
    made.changed = Waits(made, clock, 3600.0, WATCHDOG_S, 0.0)
    with pytest.raises(CameraLost, match="no fresh frame"):
        made.next(1)


class EveryThirdBad:
    """A stream of sixty pictures, every third of which cannot be decoded."""

    def __init__(self):
        self.number = 0

    def grab(self) -> bool:
        time.sleep(0.002)
        self.number += 1
        return self.number <= 60

    def retrieve(self):
        if self.number % 3 == 0:
            raise DamagedFrame("a packet is lost")
        return True, np.full(4, self.number, np.uint8)

    def release(self) -> None:
        pass


class Stream(LiveCamera):
    """A camera of such a stream."""

    shows_noise = False

    def open_capture(self):
        return EveryThirdBad()


def test_pictures_that_cannot_be_decoded_lose_neither_the_camera_nor_the_past():
    """One bad packet closed the camera and began a new segment: 60 poses in 22 s were left of 30 a second."""
    camera = Stream(RunConfig(), 0, 0, lambda note: None)
    camera.open()
    frames, damaged = [], 0
    with pytest.raises(CameraLost, match="the device returned no frame"):
        while True:
            try:
                frames.append(camera.read())
            except DamagedFrame:
                damaged += 1
    camera.close()
    assert damaged == 20 and len(frames) >= 10
    assert {frame.segment for frame in frames} == {0}
    assert all(frame.data[0] % 3 for frame in frames)


class Backlog:
    """Frames that are told apart by their only byte: so many at once, and then one after each pause."""

    def __init__(self, waiting: int, pause_s: float):
        self.waiting, self.pause_s, self.number = waiting, pause_s, 0

    def grab(self) -> bool:
        self.number += 1
        if self.number > self.waiting:
            time.sleep(self.pause_s)
        return True

    def retrieve(self):
        return True, np.full(1, self.number, np.uint8)

    def get(self, prop: int) -> float:
        return 0.0

    def release(self) -> None:
        pass


@pytest.mark.parametrize("reads_ahead", [True, False])
def test_what_had_come_before_a_stream_was_open_is_not_handed_out(monkeypatch, reads_ahead):
    """Nobody knows when it was taken: all of it would be stamped with one and the same time."""
    kept = []
    monkeypatch.setattr(NewestReader, "newest", property(lambda self: kept[-1] if kept else None), raising=False)
    monkeypatch.setattr(NewestReader, "newest", NewestReader.newest.setter(lambda self, one: one and kept.append(one)))
    reader = NewestReader(Backlog(30, 0.05), True, False, reads_ahead=reads_ahead)
    assert wait_for(lambda: kept and kept[-1].data[0] > 30)
    reader.stop()
    assert (kept[0].data[0] > 30) == reads_ahead
