"""Streams of real senders that pause, die and come back, and what is left behind of each connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
from cameras import MotionJPEGServer, open_camera, write_small_calibration
from conftest import ROOT
from senders import free_port, send, serve_rtsp
from surviving_cameras import open_again, read_until_lost, read_whole, survive

from egostream.capture.url_stream import StreamCapture
from egostream.errors import EgostreamError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="senders are paused by signals")
#: What a process may grow by over ten reconnections, bytes: allocators keep what FFmpeg frees.
GROWTH = 15_000_000


@pytest.mark.parametrize("path", ["/h264", "/h264?udp", "/jpeg"])
def test_rtsp_delivers(path):
    port = free_port()
    server = serve_rtsp(port)
    camera = open_camera(f"rtsp://127.0.0.1:{port}{path}")
    is_udp = any(one.type.name == "SOCK_DGRAM" for one in psutil.Process().net_connections())
    frames = [read_whole(camera) for _ in range(20)]
    camera.close()
    server.kill()
    assert is_udp is path.endswith("?udp")
    assert frames[-1].is_encoded is (path == "/jpeg")
    pictures = [cv2.imdecode(frame.data, cv2.IMREAD_COLOR) if frame.is_encoded else frame.data for frame in frames]
    assert pictures[0].shape == (256, 320, 3) and not np.array_equal(pictures[0], pictures[-1])
    assert frames[-1].t_capture_ns - frames[0].t_capture_ns > 0.3e9


def test_rtsp_comes_back_ten_times_in_a_row_and_leaves_nothing_behind():
    """By TCP and by UDP at once, killed and paused in turn."""
    command = [sys.executable, str(ROOT / "tests" / "surviving_cameras.py"), str(free_port())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0 and "Skipped: " in done.stderr:
        pytest.skip(done.stderr.rpartition("Skipped: ")[2].strip())
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    print(f"threads, sockets, bytes: {held}")
    (threads, sockets, size), after, closed = held["before"], held["after"], held["closed"]
    assert after[0] <= threads and after[1] <= sockets, held
    assert after[2] - size < GROWTH, held
    assert closed[1] == 0 and closed[0] < threads, held


def test_a_paused_udp_stream_comes_back():
    """The socket of the reader that was lost must be free before it is bound again."""
    port = free_port()
    sender = send(f"udp://127.0.0.1:{port}?pkt_size=1316")
    camera = open_camera(f"udp://127.0.0.1:{port}")
    survive([camera], sender, "pk")
    camera.close()
    sender.kill()


def test_a_stream_without_a_decoder_is_refused_in_a_line_and_let_go(monkeypatch):
    closed = []
    video = SimpleNamespace(codec_context=None)  # as PyAV says it; the FFmpeg within it decodes all that can be sent
    container = SimpleNamespace(streams=SimpleNamespace(video=[video]), close=lambda: closed.append(1))
    monkeypatch.setattr("av.open", lambda *_, **__: container)
    with pytest.raises(EgostreamError, match="rtsp://camera/1 cannot be opened: .* FFmpeg can decode"):
        StreamCapture("rtsp://camera/1")
    assert closed


def test_a_run_goes_on_when_its_udp_stream_does(pipeline, tmp_path):
    """It never came back: a run kept the exception that it handled, and with it the reader and its bound socket."""
    port = free_port()
    sender = send(f"udp://127.0.0.1:{port}?pkt_size=1316")
    calibration = write_small_calibration(tmp_path, (320, 256))
    run = pipeline(source=f"udp://127.0.0.1:{port}", calibration=str(calibration))
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        sender.pause()
        deadline = time.monotonic() + 30
        while "camera lost" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        sender.go_on()
        while "camera is back" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        while poses.newest(0) is not None:
            pass
        after = poses.newest(10)
        assert "camera is back" in run.output(), run.output()
        assert after is not None and after.seq > before.seq
    sender.kill()


def test_an_rtp_session_by_its_sdp_file_comes_back(tmp_path):
    port = free_port()
    sdp = tmp_path / "session.sdp"
    sdp.write_text(
        f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 32\r\n"
    )
    sender = send(f"rtp://127.0.0.1:{port}", "rtp")
    camera = open_camera(sdp)
    survive([camera], sender, "p")
    camera.close()
    sender.kill()


def test_an_http_stream_that_stalls_comes_back():
    """The connection stays open and nothing comes: only the watchdog sees it."""
    server = MotionJPEGServer()
    camera = open_camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    last = read_whole(camera)
    server.is_stalled = True
    assert read_until_lost(camera)
    server.is_stalled = False
    back = open_again(camera)
    assert back.seq > last.seq and back.segment > last.segment
    camera.close()
    server.kill()


def test_a_protocol_that_ffmpeg_lacks_is_said():
    """SRT is not in the wheels of PyAV 18; a PyAV that was built with it waits for a caller in vain."""
    with pytest.raises(EgostreamError, match="srt://127.0.0.1:9 cannot be opened"):
        open_camera("srt://127.0.0.1:9")


def test_nothing_there_is_said_without_the_password():
    with pytest.raises(
        EgostreamError, match=r"^stream rtsp://\*\*\*@127.0.0.1:9/x cannot be opened: .*refused"
    ) as error:
        open_camera("rtsp://me:secret@127.0.0.1:9/x")
    assert "secret" not in str(error.value)
