"""Recordings as cameras: pace, loops, and going on after a restart."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from cameras import open_camera, read_all, write_numbered_images

from egostream.capture.camera import Pace
from egostream.capture.recording import RecordingCamera
from egostream.capture.sources import choose_camera
from egostream.config import RunConfig


@pytest.fixture
def folder(tmp_path):
    return write_numbered_images(tmp_path)


def test_folder_is_read_in_natural_order(folder):
    frames = read_all(open_camera(folder, pace="every-frame", fps=25))
    assert [int(cv2.imdecode(f.data, 1)[0, 0, 0]) // 20 for f in frames] == list(range(12))
    assert [f.seq for f in frames] == list(range(12))
    stamps = np.diff([f.t_capture_ns for f in frames])
    np.testing.assert_allclose(stamps, 40_000_000, atol=1)


def test_live_pace_keeps_the_rate_and_skips_what_is_late(folder):
    source = open_camera(folder, fps=50)
    start = time.monotonic()
    first = [source.read() for _ in range(5)]
    assert 0.07 < time.monotonic() - start < 0.5
    assert [f.seq for f in first] == [0, 1, 2, 3, 4]
    time.sleep(0.07)  # three frames go by unseen
    late = source.read()
    assert late.seq >= 7
    assert time.monotonic_ns() - late.t_capture_ns < 40_000_000
    np.testing.assert_allclose((late.t_capture_ns - first[0].t_capture_ns) / 20e6, late.seq, atol=1e-6)


def test_a_recording_that_cannot_be_skipped_in_time_plays_slowly(capsys):
    """Sixty frames a second of a codec that takes twenty milliseconds to pass over one."""

    class Slow:
        fps, count, mode, note = 60.0, 200, "slow", ""

        def __init__(self):
            self.position = 0

        def skip(self):
            time.sleep(0.02)
            self.position += 1
            return self.position <= self.count

        def read(self):
            return np.zeros(4, np.uint8) if self.skip() else None

        def open(self):
            self.position = 0

        def begins_ns(self):
            return round(self.position * 1e9 / self.fps)

        def ends_ns(self):
            return round((self.position + 1) * 1e9 / self.fps)

        def next_part(self):
            return 0

    source = RecordingCamera(Slow(), Pace.LIVE, False, 0, 0, print)
    source.open()
    begun, frames = time.monotonic_ns(), [source.read() for _ in range(10)]
    assert [f.seq for f in frames] == sorted({f.seq for f in frames}) and frames[-1].seq < 100  # not one in ten
    assert time.monotonic_ns() - frames[-1].t_capture_ns < 0.2e9  # what is delivered is fresh
    assert (np.diff([f.t_capture_ns for f in frames]) > 0).all() and frames[0].t_capture_ns >= begun


def test_max_rate_stamps_when_frames_are_taken(folder):
    before = time.monotonic_ns()
    frames = read_all(open_camera(folder, pace="max-rate", fps=1))
    assert time.monotonic_ns() - before < 5e9
    assert all(before <= f.t_capture_ns <= time.monotonic_ns() for f in frames)


def test_a_loop_is_a_new_segment_and_numbers_go_on(folder):
    source = open_camera(folder, pace="every-frame", fps=25, loop=True)
    frames = [source.read() for _ in range(30)]
    assert [f.seq for f in frames] == list(range(30))
    assert [f.segment for f in frames] == [0] * 12 + [1] * 12 + [2] * 6
    np.testing.assert_allclose(np.diff([f.t_capture_ns for f in frames]), 40_000_000, atol=1)


@pytest.mark.parametrize(
    ("seq", "loop", "expected"), [(5, False, list(range(5, 12))), (12, False, []), (29, True, [29, 30])]
)
def test_a_recording_opened_again_goes_on_where_it_was(folder, seq, loop, expected):
    source = choose_camera(RunConfig(source=str(folder), pace="every-frame", loop=loop), seq, 3, print)
    source.open()
    frames = read_all(source) if not loop else [source.read() for _ in range(2)]
    assert [f.seq for f in frames] == expected and all(f.segment == 3 for f in frames)
    assert [int(cv2.imdecode(f.data, 1)[0, 0, 0]) // 20 for f in frames] == [n % 12 for n in expected]
