"""Network streams: the newest frame, and a stream that dies."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from cameras import MotionJPEGServer, open_camera

from egostream.capture.camera import CameraLost
from egostream.capture.decode import DamagedFrame
from egostream.capture.url_stream import StreamCapture
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


# -- damage and interlacing: a file stands for the stream, for FFmpeg reads both alike ---------------------------------


def write_stream(path: Path, codec: str, pictures: list[np.ndarray], **options: str) -> Path:
    """An MPEG-TS of some pictures, a key frame each ten."""
    with av.open(str(path), "w", format="mpegts") as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.gop_size, stream.max_b_frames, stream.options = "yuv420p", 10, 0, options
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode(None))
    return path


def drifting(count: int) -> list[np.ndarray]:
    """A picture that drifts sideways."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    blurred = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    return [np.roll(blurred, 3 * n, axis=1) for n in range(count)]


def read_stream(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """The pictures of a stream that may be used, and what was wrong with the others."""
    capture, pictures, damaged = StreamCapture(f"file:{path}"), [], []
    while True:
        try:
            capture.grab()
            ok, picture = capture.retrieve()
            if ok:
                pictures.append(picture)
        except DamagedFrame as bad:
            damaged.append(str(bad))
        except CameraLost as lost:
            assert str(lost) == "the stream ended"
            capture.release()
            return pictures, damaged


def farthest(read: list[np.ndarray], pictures: list[np.ndarray]) -> float:
    """Which part of the worst picture differs from the most similar one of those that were sent."""
    sent = np.stack([picture[::4, ::4].astype(np.int16) for picture in pictures])
    parts = [(np.abs(sent - picture[::4, ::4]).max(-1) > 32).mean((1, 2)).min() for picture in read]
    return float(max(parts))


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"tune": "zerolatency"}), ("mpeg2video", {"b": "8M"})])
def test_a_whole_stream_comes_out_whole(tmp_path, codec, options):
    pictures = drifting(30)
    read, damaged = read_stream(write_stream(tmp_path / "x.ts", codec, pictures, **options))
    assert not damaged and len(read) >= 29
    assert farthest(read, pictures) < 0.01


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"tune": "zerolatency"}), ("mpeg2video", {"b": "8M"})])
def test_pictures_with_lost_packets_and_those_built_on_them_are_not_used(tmp_path, codec, options):
    """What OpenCV hands out of the same stream is damaged to see, and it says nothing."""
    pictures = drifting(60)
    path = write_stream(tmp_path / "x.ts", codec, pictures, **options)
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    lost = {len(packets) * part // 8 for part in (2, 5)}
    path.write_bytes(b"".join(packet for n, packet in enumerate(packets) if n not in lost))
    read, damaged = read_stream(path)
    assert damaged and len(read) >= 20 and len(read) + len(damaged) >= 56
    assert farthest(read, pictures) < 0.01
    assert set(damaged) <= {
        "the image is broken: part of it did not arrive",
        "the image is broken: one that it builds on did not arrive whole",
        "the image is broken: what comes is no video that FFmpeg knows",
    }


def test_an_interlaced_stream_is_made_whole_of_one_field(tmp_path):
    """A bar that has moved between the fields leaves no comb, and stays where it was."""
    pictures = []
    for n in range(20):
        picture = np.zeros((256, 320, 3), np.uint8)
        picture[0::2, 10 * n + 20 : 10 * n + 60] = 255
        picture[1::2, 10 * n + 25 : 10 * n + 65] = 255
        pictures.append(picture)
    read, damaged = read_stream(write_stream(tmp_path / "x.ts", "mpeg2video", pictures, flags="+ilme+ildct", b="8M"))
    assert not damaged and len(read) >= 19
    for picture in read:
        comb = np.abs(np.diff(picture[:, :, 1].astype(int), axis=0)).mean()
        assert comb < 2, comb
    assert min(np.abs(read[0][:, :, 1].astype(int) - one[0, :, 1]).mean() for one in pictures) < 4


def test_no_frame_is_lost_while_ffmpeg_finds_out_what_comes(tmp_path):
    """Or the first key frame would be, and all that builds on it."""
    images = [cv2.imencode(".jpg", picture)[1].reshape(-1) for picture in drifting(20)]
    with av.open(str(tmp_path / "x.avi"), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "yuvj420p"
        for n, image in enumerate(images):
            packet = av.Packet(image.tobytes())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, n, n, Fraction(1, 25)
            output.mux(packet)
    read, _ = read_stream(tmp_path / "x.avi")
    assert len(read) == 20 and all(np.array_equal(one, image) for one, image in zip(read, images))
