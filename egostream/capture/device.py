"""Cameras of this machine: V4L2, DirectShow and AVFoundation devices."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2

from egostream.capture.jpeg import JPEG_START
from egostream.capture.live import LiveCamera
from egostream.capture.source_text import local_path
from egostream.config import RunConfig
from egostream.errors import EgostreamError

#: Restored when a camera is opened again, for its driver may have forgotten them. Automatic modes first: a driver
#: refuses a manual value while its automatic mode is on.
CONTROLS = (
    cv2.CAP_PROP_AUTO_EXPOSURE,
    cv2.CAP_PROP_AUTO_WB,
    cv2.CAP_PROP_AUTOFOCUS,
    cv2.CAP_PROP_EXPOSURE,
    cv2.CAP_PROP_WB_TEMPERATURE,
    cv2.CAP_PROP_FOCUS,
    cv2.CAP_PROP_GAIN,
    cv2.CAP_PROP_BRIGHTNESS,
)
NO_CONTROL = -1  # what OpenCV says of a property that the camera lacks
BACKENDS = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
PROBED_INDICES = 8  # that are tried in turn where the system has no list of cameras; few machines have as many


class DeviceCamera(LiveCamera):
    """A camera attached to this machine, by index or stable path (/dev/v4l/by-id/...)."""

    has_driver_clock = True

    def __init__(self, config: RunConfig, seq: int, segment: int, say: Callable[[str], None]):
        super().__init__(config, seq, segment, say)
        self.controls: dict[int, float] = {}  # of CONTROLS, as they were when it was opened last

    def open_capture(self) -> cv2.VideoCapture:
        """Open the device, agree on a mode, and restore its controls. Raises EgostreamError."""
        source, path = self.config.source, device_path(self.config.source)
        if isinstance(path, str) and not os.path.exists(path):
            raise EgostreamError(f"no camera {source}: {path} does not exist. List cameras: egostream cameras")
        capture = cv2.VideoCapture(path, device_backend())
        if not capture.isOpened():
            raise EgostreamError(
                f"camera {source} cannot be opened: in use by another program, or no permission. "
                "Check: egostream cameras"
            )
        try:
            self.negotiate(capture)
        except EgostreamError:
            capture.release()
            raise
        for control, value in self.controls.items():
            capture.set(control, value)
        self.controls = {control: value for control in CONTROLS if (value := capture.get(control)) != NO_CONTROL}
        return capture

    def negotiate(self, capture: cv2.VideoCapture) -> None:
        """Ask for MJPG, the size and the rate; read back what was granted, and say so.

        Raises EgostreamError for another size than the calibration's.
        """
        self.ask(capture)
        granted = fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))
        # Undecoded JPEG can be decoded at a reduced size, several times faster. Not every backend hands it out.
        self.is_raw = granted == "MJPG" and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) and hands_out_jpeg(capture)
        if not self.is_raw:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
        source, fps = self.config.source, capture.get(cv2.CAP_PROP_FPS)
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        who_decodes = "raw JPEG" if self.is_raw else "decoded by the driver"
        self.mode = f"{source} {width}x{height} {granted or 'unknown format'} {fps:g} fps, {who_decodes}"
        if granted != "MJPG":
            self.say(
                f"camera {source} gives {granted or 'an unknown format'} instead of MJPG: its frame rate may be low"
            )
        if (width, height) != (self.config.width, self.config.height):
            raise EgostreamError(
                f"camera {source} gives {width}x{height}, wanted {self.config.width}x{self.config.height}, "
                f"the size it was calibrated at. Calibrate at {width}x{height}: python tools/calibrate.py --help"
            )

    def ask(self, capture: cv2.VideoCapture) -> None:
        """Set the wanted mode. Drivers agree to anything and do what they like: what counts is what they say after."""
        wanted = self.config
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)


def hands_out_jpeg(capture: cv2.VideoCapture) -> bool:
    """Whether the next frame of a capture is an undecoded JPEG. Reads one frame."""
    ok, data = capture.read()
    return bool(ok and data is not None and data.size > 2 and data.reshape(-1)[:2].tobytes() == JPEG_START)


def fourcc_name(value: float) -> str:
    """The four letters of a pixel format as OpenCV tells it; empty when it is none."""
    name = int(value).to_bytes(4, "little", signed=int(value) < 0).decode("ascii", "replace").strip("\0 ")
    return name if name.isascii() and name.isprintable() else ""


def device_backend() -> int:
    """OpenCV's backend for cameras of this system."""
    return BACKENDS.get(sys.platform, cv2.CAP_ANY)


def device_path(source: str) -> str | int:
    """What OpenCV opens. On Linux always a path: an index moves when another camera is plugged in."""
    if sys.platform == "linux":
        return f"/dev/video{source}" if source.isdecimal() else os.path.realpath(local_path(source))
    return int(source)


def list_devices() -> list[dict[str, str]]:
    """Cameras of this machine: ``source`` (index), stable ``path`` and ``name`` of each.

    Linux reads /sys; elsewhere indices are tried in turn.
    """
    if sys.platform != "linux":
        return [device for index in range(PROBED_INDICES) if (device := probe_index(index))]
    by_id = Path("/dev/v4l/by-id")
    stable = {os.path.realpath(link): str(link) for link in sorted(by_id.glob("*"))} if by_id.is_dir() else {}
    devices = []
    for node in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda p: int(p.name[5:])):
        if (node / "index").exists() and (node / "index").read_text().strip() != "0":
            continue  # metadata nodes of the same camera
        path, name = f"/dev/{node.name}", (node / "name").read_text().strip()
        devices.append({"source": node.name[5:], "path": stable.get(path, path), "name": name})
    return devices


def probe_index(index: int) -> dict[str, str] | None:
    """The camera with this index as ``list_devices`` tells it, or None when it cannot be opened."""
    capture = cv2.VideoCapture(index, device_backend())
    is_open = capture.isOpened()
    capture.release()
    return {"source": str(index), "path": str(index), "name": f"camera {index}"} if is_open else None
