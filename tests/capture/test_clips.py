"""Videos and image folders, healthy and broken, real files where they lie beside the checkout."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from cameras import open_camera, read_all, write_numbered_images
from conftest import SHARED

from egostream.capture.clips import ImageFolder, Video
from egostream.files import asset

SAMPLE = asset("sample", "sample.avi")


@pytest.fixture
def folder(tmp_path):
    return write_numbered_images(tmp_path)


def test_motion_jpeg_stays_encoded():
    frames = read_all(open_camera(SAMPLE, pace="every-frame"))
    assert len(frames) == 90 and all(f.is_encoded and f.data[:2].tobytes() == b"\xff\xd8" for f in frames)
    plain = cv2.VideoCapture(str(SAMPLE)).read()[1]
    decoded = cv2.imdecode(frames[0].data, cv2.IMREAD_COLOR)
    assert decoded.shape == (1024, 1280, 3) and np.abs(decoded.astype(int) - plain.astype(int)).mean() < 1.5


def test_other_codecs_come_as_pixels(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 48))
    for n in range(20):
        writer.write(np.full((48, 64, 3), n * 10, np.uint8))
    writer.release()
    frames = read_all(open_camera(tmp_path / "clip.mp4", pace="every-frame"))
    assert len(frames) == 20 and frames[0].data.shape == (48, 64, 3)
    assert [round(float(f.data.mean()) / 10) for f in frames] == list(range(20))


@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [("gopro_max-heromode.mp4", None, (480, 848, 3)), ("pupil_eye0_001.mp4", 95, (192, 192, 3))],
)
def test_files_of_real_cameras(name, count, shape):
    path = SHARED / "video" / name
    if not path.is_file():
        pytest.skip("no real recordings beside this checkout")
    frames = read_all(open_camera(path, pace="every-frame"))
    assert frames[0].data.shape == shape and frames[0].data.mean() > 1
    assert count is None or len(frames) == count
    assert len(frames) > 30


def test_a_truncated_video_plays_to_where_it_ends_and_says_so(tmp_path):
    cut = tmp_path / "cut.avi"
    cut.write_bytes(SAMPLE.read_bytes()[: SAMPLE.stat().st_size // 2])
    notes = []
    frames = read_all(open_camera(cut, notes.append, pace="every-frame"))
    assert 20 < len(frames) < 70
    assert len(notes) == 1 and "truncated or damaged" in notes[0]


def test_an_image_that_vanishes_is_an_empty_frame(folder):
    source = ImageFolder(folder, 30)
    source.open()
    (folder / "img_0.png").unlink()
    assert source.read().size == 0 and source.read().size > 0


def test_video_ending_is_silent_when_whole():
    video = Video(SAMPLE)
    video.open()
    while video.skip():
        pass
    assert video.position == 90 and video.ending() == ""
