"""Senders of network streams in processes of their own, to be paused, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"  # the system's own has GStreamer's bindings
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
#: Sends a moving picture at 25 frames a second: to a URL, in a container format, by an encoder.
SENDER = """
import itertools, sys, time
import av, numpy as np
url, format, codec = sys.argv[1:]
output = av.open(url, "w", format=format)
stream = output.add_stream(codec, rate=25)
stream.width, stream.height, stream.pix_fmt, stream.gop_size, stream.max_b_frames = 320, 256, "yuv420p", 10, 0
noise = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
print("ready", flush=True)
for n in itertools.count():
    for packet in stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, 4 * n, 1) // 4 + n % 64)):
        output.mux(packet)
    time.sleep(1 / 25)
"""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sender:
    """A process that sends, and says when it is ready."""

    def __init__(self, *command: str):
        self.command = command
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n", "the sender did not start"

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def send(url: str, format: str = "mpegts", codec: str = "mpeg2video") -> Sender:
    """A sender by PyAV."""
    return Sender(sys.executable, "-c", SENDER, url, format, codec)


def serve_rtsp(port: int) -> Sender:
    """GStreamer's RTSP server; skips where it is not installed."""
    wanted = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer;"
    wanted += "Gst.init(None); assert Gst.ElementFactory.find('x264enc') and Gst.ElementFactory.find('rtph264pay')"
    python = SYSTEM_PYTHON if Path(SYSTEM_PYTHON).exists() else sys.executable
    if subprocess.run([python, "-c", wanted], capture_output=True).returncode:
        pytest.skip(f"no GStreamer RTSP server. On Debian: apt-get install {PACKAGES}")
    return Sender(python, str(HERE / "rtsp_server.py"), str(port))
