"""Motion-JPEG in AVI, read without FFmpeg: the same as FFmpeg reads, and nothing else is taken."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from made_videos import picture, write_video

from egostream.capture.avi import open_jpeg_avi
from egostream.capture.clips import Video
from egostream.files import asset

JPEG = {"codec": "mjpeg", "pixels": "yuvj420p", "time_base": Fraction(1, 25)}


def by_ffmpeg(path: Path) -> list[tuple[int, bytes]]:
    """Place and bytes of each JPEG as FFmpeg reads them."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def by_us(path: Path) -> list[tuple[int, bytes]]:
    avi = open_jpeg_avi(path)
    assert avi is not None
    return [(held.ticks, held.content.tobytes()) for held in avi.packets() if not held.flaw]


def written_by_opencv(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
    for n in range(20):
        writer.write(picture(n))
    writer.release()
    return path


MAKERS = {
    "PyAV": lambda p: write_video(p / "x.avi", list(range(20)), **JPEG),
    "dropped frames": lambda p: write_video(p / "x.avi", [0, 1, 2, 5, 6, 9], **JPEG),
    "OpenCV": lambda p: written_by_opencv(p / "x.avi"),
    "the sample": lambda p: asset("sample", "sample.avi"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_jpegs_and_their_places_are_those_of_ffmpeg(tmp_path, maker):
    path = MAKERS[maker](tmp_path)
    theirs, ours = by_ffmpeg(path), by_us(path)
    assert ours == theirs and len(ours) == open_jpeg_avi(path).count() == Video(path).count
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert open_jpeg_avi(path).interval == stream.time_base
        assert open_jpeg_avi(path).size == (stream.width, stream.height)


def test_sound_beside_the_pictures_is_passed_over(tmp_path):
    with av.open(str(tmp_path / "x.avi"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for n in range(10):
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), "s16", "mono")
            tone.sample_rate, tone.pts = 8000, 320 * n
            container.mux(sound.encode(tone))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(n), "bgr24").reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    assert by_us(tmp_path / "x.avi") == by_ffmpeg(tmp_path / "x.avi") and len(by_us(tmp_path / "x.avi")) == 10


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.avi", {"codec": "mpeg4", "time_base": Fraction(1, 25)}),
        ("x.mkv", JPEG),
        ("x.mov", JPEG),
        ("x.avi", {"codec": "png", "pixels": "rgb24", "time_base": Fraction(1, 25)}),
    ],
)
def test_other_files_are_left_to_ffmpeg(tmp_path, name, how):
    assert open_jpeg_avi(write_video(tmp_path / name, list(range(5)), **how)) is None


def test_a_jpeg_for_each_field_is_left_to_ffmpeg(tmp_path):
    """Interlaced Motion-JPEG: the header has the whole picture's height, each JPEG half of it."""
    path = write_video(tmp_path / "x.avi", list(range(5)), **JPEG)
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 8 + 8  # the height in the stream's format
    data[at : at + 4] = (128).to_bytes(4, "little")
    path.write_bytes(data)
    assert open_jpeg_avi(path) is None


def test_a_file_that_was_never_closed_plays_and_says_so(tmp_path):
    path = write_video(tmp_path / "x.avi", list(range(20)), **JPEG)
    whole = by_us(path)
    data = bytearray(path.read_bytes())
    data[4:8] = bytes(4)
    path.write_bytes(data[: data.index(b"idx1")])
    video = Video(path)
    video.open()
    assert by_us(path) == whole and all(video.skip() for _ in range(20)) and not video.skip()
    assert "never closed: truncated or damaged" in video.ending()


def test_what_lies_between_damaged_chunks_is_found_again(tmp_path):
    path = write_video(tmp_path / "x.avi", list(range(20)), **JPEG)
    whole, data = by_us(path), bytearray(path.read_bytes())
    at = data.index(b"movi")
    for _ in range(8):
        at = data.index(b"00dc", at + 1)
    data[at : at + 8] = b"\0\1\2\3\xff\xff\xff\xff"
    path.write_bytes(data)
    assert by_us(path) == [frame for n, frame in enumerate(whole) if n != 7]  # and their places stay
    assert Video(path).count == 20


def test_playing_it_does_not_load_ffmpeg(tmp_path):
    code = (
        "import sys; from egostream.capture.clips import Video; from egostream.files import asset\n"
        "video = Video(asset('sample', 'sample.avi')); video.open()\n"
        "while video.read() is not None: pass\n"
        "assert video.position == video.count == 90 and 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
