"""Network streams: the newest frame, and a stream that dies."""

from __future__ import annotations

import time

import cv2
import pytest
from cameras import MotionJPEGServer, open_camera

from egostream.capture.camera import CameraLost
from egostream.errors import EgostreamError


def test_a_network_stream_delivers_the_newest_frame():
    server = MotionJPEGServer()
    source = open_camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    first = source.read()
    assert first.is_encoded and cv2.imdecode(first.data, cv2.IMREAD_COLOR).shape == (48, 64, 3)
    time.sleep(0.5)
    second, third = source.read(), source.read()
    assert second.seq - first.seq >= 3  # what was not looked at is skipped and counted
    assert third.seq == second.seq + 1 and third.t_capture_ns > second.t_capture_ns
    source.close()
    server.kill()


def test_a_network_stream_that_dies_is_lost_and_opens_again():
    server = MotionJPEGServer()
    source = open_camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    last = source.read()
    server.kill()
    start = time.monotonic()
    with pytest.raises(CameraLost):
        while True:
            last = source.read()
    assert time.monotonic() - start < 6
    source.close()
    with pytest.raises(EgostreamError, match="cannot be opened"):
        source.open()
    again = MotionJPEGServer(server.port)
    source.open()
    back = source.read()
    assert back.seq > last.seq and back.segment > last.segment
    source.close()
    again.kill()
