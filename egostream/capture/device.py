"""Live cameras: V4L2, DirectShow and AVFoundation devices, and network streams."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2

from egostream.capture.live import LiveCamera
from egostream.errors import EgostreamError

#: Automatic modes first: a driver refuses a manual value while its automatic mode is on.
CONTROLS = (
    cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_AUTO_WB, cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_EXPOSURE,
    cv2.CAP_PROP_WB_TEMPERATURE, cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_GAIN, cv2.CAP_PROP_BRIGHTNESS,
)  # fmt: skip


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
            raise EgostreamError(
                f"no camera {self.config.source}: {path} does not exist. List cameras: egostream cameras"
            )
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
            self.say(
                f"camera {self.config.source} gives {granted or 'an unknown format'} instead of MJPG: its frame rate may be low"
            )
        if (width, height) != (wanted.width, wanted.height):
            raise EgostreamError(
                f"camera {self.config.source} gives {width}x{height}, wanted {wanted.width}x{wanted.height}, the size it was calibrated at. Calibrate at {width}x{height}: python tools/calibrate.py --help"
            )


def hands_out_jpeg(capture) -> bool:
    ok, data = capture.read()
    return bool(ok and data is not None and data.size > 2 and data.reshape(-1)[:2].tobytes() == b"\xff\xd8")


def fourcc_name(value: float) -> str:
    name = int(value).to_bytes(4, "little", signed=int(value) < 0).decode("ascii", "replace").strip("\0 ")
    return name if name.isascii() and name.isprintable() else ""


def device_backend() -> int:
    return {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}.get(
        sys.platform, cv2.CAP_ANY
    )


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
        {os.path.realpath(link): str(link) for link in sorted(Path("/dev/v4l/by-id").glob("*"))}
        if Path("/dev/v4l/by-id").is_dir()
        else {}
    )
    devices = []
    for node in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda p: int(p.name[5:])):
        if (node / "index").exists() and (node / "index").read_text().strip() != "0":
            continue  # metadata nodes of the same camera
        path = f"/dev/{node.name}"
        devices.append(
            {"source": node.name[5:], "path": stable.get(path, path), "name": (node / "name").read_text().strip()}
        )
    return devices


def probe_index(index: int) -> dict | None:
    capture = cv2.VideoCapture(index, device_backend())
    is_open = capture.isOpened()
    capture.release()
    return {"source": str(index), "path": str(index), "name": f"camera {index}"} if is_open else None
