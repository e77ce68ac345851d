"""Cameras whose sender dies or pauses: they are lost, and come back. As a script, what ten such rounds leave behind.

    python tests/surviving_cameras.py RTSP_PORT

A process of its own has no memory but the cameras'.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from cameras import open_camera  # noqa: E402
from senders import Sender, serve_rtsp  # noqa: E402

from egostream.capture.camera import Camera, CameraLost  # noqa: E402
from egostream.capture.decode import BadFrame  # noqa: E402
from egostream.errors import EgostreamError  # noqa: E402
from egostream.types import CameraFrame  # noqa: E402

#: A camera must be back so soon after its sender, seconds: a key frame, the container's tables, a busy machine.
BACK_S = 12.0


def read_whole(camera: Camera) -> CameraFrame:
    """The next frame that may be used."""
    while True:
        try:
            return camera.read()
        except BadFrame:
            pass


def read_until_lost(camera: Camera) -> str:
    """Read on until the camera is lost; returns why."""
    deadline = time.monotonic() + BACK_S
    while time.monotonic() < deadline:
        try:
            read_whole(camera)
        except CameraLost as lost:
            return str(lost)
    raise AssertionError("the camera was not lost")


def open_again(camera: Camera) -> CameraFrame:
    """Close the camera and open it until it delivers, as the capture process does."""
    deadline = time.monotonic() + BACK_S
    camera.close()
    while time.monotonic() < deadline:
        try:
            camera.open()
            return read_whole(camera)
        except (EgostreamError, CameraLost):
            camera.close()
            time.sleep(0.2)
    raise AssertionError("the camera did not come back")


def holdings() -> tuple[int, int, int]:
    """Threads, sockets and bytes of this process."""
    gc.collect()
    process = psutil.Process()
    return process.num_threads(), len(process.net_connections()), process.memory_info().rss


def survive(cameras: list[Camera], sender: Sender, rounds: str) -> None:
    """Kill (k) or pause (p) the sender, once for each letter, and see all cameras come back."""
    last = [read_whole(camera) for camera in cameras]
    for letter in rounds:
        sender.kill() if letter == "k" else sender.pause()
        with ThreadPoolExecutor(len(cameras)) as at_once:
            assert all(at_once.map(read_until_lost, cameras))  # a reason each
        sender.start() if letter == "k" else sender.go_on()
        for number, camera in enumerate(cameras):
            back = open_again(camera)
            assert back.seq > last[number].seq and back.segment > last[number].segment
            last[number] = back


def ten_rounds(port: int) -> dict[str, tuple[int, int, int]]:
    """Holdings before, after, and once closed, of two cameras whose server is killed and paused in turn."""
    server = serve_rtsp(port)
    cameras = [open_camera(f"rtsp://127.0.0.1:{port}/h264{query}") for query in ("", "?udp")]
    for camera in cameras:
        read_whole(camera)
    before = holdings()
    survive(cameras, server, "kpkpkpkpkp")
    after = holdings()
    for camera in cameras:
        camera.close()
    server.kill()
    return {"before": before, "after": after, "closed": holdings()}


if __name__ == "__main__":
    print(json.dumps(ten_rounds(int(sys.argv[1]))))
