"""Live cameras: V4L2, DirectShow and AVFoundation devices, and network streams."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from egostream.capture.camera import CameraLost
from egostream.config import RunConfig, without_password
from egostream.errors import EgostreamError
from egostream.types import CameraFrame

WATCHDOG_S = 2.0  # without a fresh frame for this long, the camera is lost
FIRST_FRAME_S = 10.0  # the first one may take longer: a stream's next key frame, a camera that warms up
CLOCK_SLACK_NS = 1_000_000_000
#: Automatic modes first: a driver refuses a manual value while its automatic mode is on.
CONTROLS = (
    cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_AUTO_WB, cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_EXPOSURE,
    cv2.CAP_PROP_WB_TEMPERATURE, cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_GAIN, cv2.CAP_PROP_BRIGHTNESS,
)  # fmt: skip


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


class DeviceCamera(LiveCamera):
    """A camera attached to this machine, by index or stable path (/dev/v4l/by-id/...)."""

    has_driver_clock = True

    def __init__(self, config, seq, segment, say):
        super().__init__(config, seq, segment, say)
        self.controls: dict[int, float] = {}
        self.is_raw = False

    def open_capture(self):
        path = device_path(self.config.source)
        if isinstance(path, str) and not os.path.exists(path):
            raise EgostreamError(f"no camera {self.config.source}: {path} does not exist. List cameras: egostream cameras")
        capture = cv2.VideoCapture(path, device_backend())
        if not capture.isOpened():
            raise EgostreamError(
                f"camera {self.config.source} cannot be opened: in use by another program, or no permission. Check: egostream cameras"
            )
        self.negotiate(capture)
        for control, value in self.controls.items():
            capture.set(control, value)
        self.controls = {control: value for control in CONTROLS if (value := capture.get(control)) != -1}
        return capture

    def negotiate(self, capture):
        """Ask for MJPG, the size and the rate; read back what was granted, and say so."""
        wanted = self.config
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)
        granted = fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))
        # Undecoded JPEG can be decoded at a reduced size, several times faster. Not every backend hands it out.
        self.is_raw = granted == "MJPG" and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) and hands_out_jpeg(capture)
        if not self.is_raw:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.mode = f"{self.config.source} {width}x{height} {granted or 'unknown format'} {fps:g} fps, {'raw JPEG' if self.is_raw else 'decoded by the driver'}"
        if granted != "MJPG":
            self.say(f"camera {self.config.source} gives {granted or 'an unknown format'} instead of MJPG: its frame rate may be low")
        if (width, height) != (wanted.width, wanted.height):
            raise EgostreamError(
                f"camera {self.config.source} gives {width}x{height}, wanted {wanted.width}x{wanted.height}, the size it was calibrated at. Calibrate at {width}x{height}: python tools/calibrate.py --help"
            )


class NetworkCamera(LiveCamera):
    """A stream by URL: RTSP, or Motion-JPEG and other formats over HTTP, UDP or TCP."""

    is_raw = False

    def open_capture(self):
        url = self.config.source
        patience_ms = int(FIRST_FRAME_S * 1000)
        # One decoder thread: with n of them FFmpeg holds back n - 1 frames.
        options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience_ms, cv2.CAP_PROP_N_THREADS, 1]
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            raise EgostreamError(f"stream {without_password(url)} cannot be opened. Check that it plays: ffplay {without_password(url)}")
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.mode = f"{without_password(url)} {width}x{height}"
        return capture


def hands_out_jpeg(capture) -> bool:
    ok, data = capture.read()
    return bool(ok and data is not None and data.size > 2 and data.reshape(-1)[:2].tobytes() == b"\xff\xd8")


def fourcc_name(value: float) -> str:
    name = int(value).to_bytes(4, "little", signed=int(value) < 0).decode("ascii", "replace").strip("\0 ")
    return name if name.isascii() and name.isprintable() else ""


def device_backend() -> int:
    return {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}.get(sys.platform, cv2.CAP_ANY)


def device_path(source: str) -> str | int:
    """What OpenCV opens. On Linux always a path: an index moves when another camera is plugged in."""
    if sys.platform == "linux":
        return f"/dev/video{source}" if source.isdigit() else os.path.realpath(source)
    return int(source)


def list_devices() -> list[dict]:
    """Cameras of this machine: index, stable path and name. Linux reads /sys; elsewhere indices are tried in turn."""
    if sys.platform != "linux":
        return [device for index in range(8) if (device := probe_index(index))]
    stable = (
        {os.path.realpath(link): str(link) for link in sorted(Path("/dev/v4l/by-id").glob("*"))} if Path("/dev/v4l/by-id").is_dir() else {}
    )
    devices = []
    for node in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda p: int(p.name[5:])):
        if (node / "index").exists() and (node / "index").read_text().strip() != "0":
            continue  # metadata nodes of the same camera
        path = f"/dev/{node.name}"
        devices.append({"source": node.name[5:], "path": stable.get(path, path), "name": (node / "name").read_text().strip()})
    return devices


def probe_index(index: int) -> dict | None:
    capture = cv2.VideoCapture(index, device_backend())
    is_open = capture.isOpened()
    capture.release()
    return {"source": str(index), "path": str(index), "name": f"camera {index}"} if is_open else None
