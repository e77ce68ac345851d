"""The device camera's negotiation. No machine that runs these tests need have a camera.

A driver's side is played by OpenCV reading the bundled Motion-JPEG clip, which hands out raw JPEG as V4L2 does.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from egostream.capture import device
from egostream.capture.camera import CameraLost
from egostream.capture.device import DeviceCamera, fourcc_name
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset

MJPG, YUYV = cv2.VideoWriter.fourcc(*"MJPG"), cv2.VideoWriter.fourcc(*"YUYV")


class Driver:
    """Answers ``set`` and ``get`` like a driver with one mode; frames come from the clip at 30 a second."""

    fourcc, size, stamps_ms, clip = MJPG, (1280, 1024), None, None
    opened: list = []

    def __init__(self, path, backend):
        self.properties = {cv2.CAP_PROP_EXPOSURE: 156.0, cv2.CAP_PROP_GAIN: 10.0, cv2.CAP_PROP_CONVERT_RGB: 1.0}
        self.path, self.asked = path, []
        self.raw = cv2.VideoCapture(str(asset("sample", "sample.avi")), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        Driver.opened.append(self)

    def isOpened(self):
        return True

    def set(self, prop, value):
        self.asked.append((prop, value))
        if prop in (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS):
            return True  # a driver that agrees to everything and does what it likes
        self.properties[prop] = value
        return True

    def get(self, prop):
        mode = {
            cv2.CAP_PROP_FOURCC: self.fourcc,
            cv2.CAP_PROP_FRAME_WIDTH: self.size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self.size[1],
            cv2.CAP_PROP_FPS: 30.0,
        }
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamps_ms() if self.stamps_ms else 0.0
        return mode.get(prop, self.properties.get(prop, -1.0))

    def grab(self):
        time.sleep(1 / 30)
        return self.raw.grab()

    def retrieve(self):
        ok, data = self.raw.retrieve()
        if ok and self.properties[cv2.CAP_PROP_CONVERT_RGB]:
            return ok, cv2.imdecode(data.reshape(-1), cv2.IMREAD_COLOR)
        return ok, data

    def read(self):
        return self.retrieve() if self.grab() else (False, None)

    def release(self):
        self.raw.release()


@pytest.fixture
def driver(monkeypatch):
    made = type("Played", (Driver,), {})
    Driver.opened = []
    monkeypatch.setattr(device.cv2, "VideoCapture", made)
    monkeypatch.setattr(device.os.path, "exists", lambda path: True)
    monkeypatch.setattr(device.sys, "platform", "linux")
    return made


def opened(notes=None, **settings):
    camera = DeviceCamera(
        RunConfig(source="0", width=1280, height=1024, **settings), 0, 0, (notes if notes is not None else []).append
    )
    camera.open()
    return camera


# The clip itself is opened by the real OpenCV, whatever stands in for it in the module under test.
REAL_CAPTURE = cv2.VideoCapture


@pytest.fixture(autouse=True)
def real_clip(monkeypatch):
    original = Driver.__init__

    def init(self, path, backend):
        played, cv2.VideoCapture = cv2.VideoCapture, REAL_CAPTURE
        try:
            original(self, path, backend)
        finally:
            cv2.VideoCapture = played

    monkeypatch.setattr(Driver, "__init__", init)


def test_mjpg_is_asked_for_and_kept_encoded(driver):
    camera = opened(fps=60)
    asked = dict(Driver.opened[0].asked)
    assert asked[cv2.CAP_PROP_FOURCC] == MJPG and asked[cv2.CAP_PROP_FPS] == 60
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FRAME_HEIGHT]) == (1280, 1024)
    frame = camera.read()
    assert frame.is_encoded and frame.data[:2].tobytes() == b"\xff\xd8"
    assert camera.mode == "0 1280x1024 MJPG 30 fps, raw JPEG"
    camera.close()


def test_another_format_is_said_and_decoded(driver):
    driver.fourcc, notes = YUYV, []
    camera = opened(notes)
    assert camera.read().data.shape == (1024, 1280, 3)
    assert notes == ["camera 0 gives YUYV instead of MJPG: its frame rate may be low"]
    assert "decoded by the driver" in camera.mode
    camera.close()


def test_another_size_is_refused_with_the_next_command(driver):
    driver.size = (640, 480)
    with pytest.raises(EgostreamError, match="gives 640x480, wanted 1280x1024.*tools/calibrate.py"):
        opened()


def test_stamps_are_the_drivers_when_they_are_on_our_clock(driver):
    given = []

    def stamp(self=None):
        given.append(time.monotonic() * 1e3 - 12)
        return given[-1]

    driver.stamps_ms = stamp
    camera = opened()
    frame = camera.read()
    assert 11e6 < time.monotonic_ns() - frame.t_capture_ns and camera.reader.has_driver_stamps
    camera.close()
    assert frame.t_capture_ns in [int(stamp_ms * 1e6) for stamp_ms in given]


def test_a_device_that_is_refused_is_let_go(driver):
    driver.size, released = (640, 480), []
    driver.release = lambda self: released.append(self) or self.raw.release()
    with pytest.raises(EgostreamError, match="gives 640x480"):
        opened()
    assert released == Driver.opened


def test_a_driver_that_breaks_loses_the_camera_with_its_own_words(driver, capfd):
    driver.grab = lambda self: 1 // 0
    driver.read = lambda self: self.raw.read()
    camera = opened()
    with pytest.raises(CameraLost, match="ZeroDivisionError: integer division or modulo by zero"):
        camera.read()
    camera.close()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("stamp", [0.0, -5.0, 1e15])
def test_stamps_of_another_clock_are_not_believed(driver, stamp):
    driver.stamps_ms = lambda self=None: stamp
    camera = opened()
    before = time.monotonic_ns()
    camera.read()
    frame = camera.read()
    assert before - 50e6 < frame.t_capture_ns <= time.monotonic_ns() and not camera.reader.has_driver_stamps
    camera.close()


def test_controls_are_restored_after_a_reopening(driver):
    camera = opened()
    last = camera.read()
    camera.close()
    camera.open()
    restored = dict(Driver.opened[1].asked)
    assert (restored[cv2.CAP_PROP_EXPOSURE], restored[cv2.CAP_PROP_GAIN]) == (156.0, 10.0)
    frame = camera.read()
    assert frame.seq > last.seq and frame.segment == last.segment + 1
    camera.close()


def test_frames_between_two_looks_are_skipped_and_counted(driver):
    camera = opened()
    first = camera.read()
    time.sleep(0.4)
    second = camera.read()
    assert 5 <= second.seq - first.seq <= 20
    assert not np.array_equal(first.data, second.data)
    camera.close()


def test_pixel_formats_have_names():
    assert fourcc_name(cv2.VideoWriter.fourcc(*"MJPG")) == "MJPG" and fourcc_name(-1.0) == "" and fourcc_name(0) == ""
