"""Recordings as cameras: pace, loops, and going on after a restart."""

from __future__ import annotations

import time
from fractions import Fraction

import cv2
import numpy as np
import pytest
from cameras import open_camera, read_all, write_numbered_images
from made_videos import relative_ns, write_video

from egostream.capture.camera import Pace
from egostream.capture.decode import BadFrame
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


# ---- the recording's own times --------------------------------------------------------------------------------------

VARYING = [0, 60, 80, 100, 120, 300, 310, 330, 400]


@pytest.mark.parametrize("pace", ["live", "every-frame"])
def test_stamps_are_the_recordings_own_times(tmp_path, pace):
    path = write_video(tmp_path / "x.mp4", VARYING)
    source, begun = open_camera(path, pace=pace), time.monotonic()
    frames = read_all(source)
    took = time.monotonic() - begun
    stamps = np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns)
    assert stamps.tolist() == [relative_ns(VARYING)[f.seq] for f in frames]
    if pace == "live":
        assert took > 0.39 and frames[-1].seq >= 7
    else:
        assert [f.seq for f in frames] == list(range(9))


def test_live_frames_come_when_they_are_due_and_late_ones_are_skipped_by_their_times(tmp_path):
    source = open_camera(write_video(tmp_path / "x.mp4", VARYING))
    first = source.read()
    time.sleep(0.11)  # until 110 ms: the frame of 100 ms is the newest
    late = source.read()
    assert late.seq >= 3 and late.t_capture_ns - first.t_capture_ns == VARYING[late.seq] * 10**6
    if late.seq == 3:
        before = time.monotonic_ns()
        source.read()  # due at 120 ms
        source.read()  # and the next at 300
        assert time.monotonic_ns() - before > 150e6


def test_a_pause_is_waited_for_outside_of_read(tmp_path):
    """A capture process must beat meanwhile, so that it is not taken for one that hangs."""
    source = open_camera(write_video(tmp_path / "x.mp4", [0, 20, 40, 30_000]))
    assert source.pause_s() == 0
    for _ in range(3):
        source.read()
    assert 27 < source.pause_s() < 28.1
    assert open_camera(tmp_path / "x.mp4", pace="every-frame").pause_s() == 0


def test_a_loop_goes_on_when_the_last_frame_has_lasted(tmp_path):
    path = write_video(tmp_path / "x.mkv", [0, 40, 80, 200])
    source = open_camera(path, pace="every-frame", loop=True)
    frames = [source.read() for _ in range(8)]
    stamps = np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns) / 1e6
    lasts = stamps[4] - stamps[3]
    assert lasts == 33 and stamps.tolist() == [0, 40, 80, 200, *(200 + lasts + np.array([0, 40, 80, 200]))]
    assert [f.segment for f in frames] == [0] * 4 + [1] * 4


def test_a_clock_that_is_set_back_is_a_new_segment(tmp_path):
    """Two recordings, one behind the other, as MPEG-TS allows."""
    for name in ("a.ts", "b.ts"):
        write_video(tmp_path / name, list(range(10)), codec="mpeg2video", time_base=Fraction(1, 25), rate=25)
    (tmp_path / "both.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    frames = read_all(open_camera(tmp_path / "both.ts", pace="every-frame"))
    # FFmpeg takes what lies across the joint for damaged: up to two frames there are not used.
    assert [f.segment for f in frames] == [f.seq // 10 for f in frames] and len(frames) >= 18
    stamps = np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns)
    assert stamps.tolist() == [40_000_000 * f.seq for f in frames]


def test_a_bad_frame_takes_its_number_and_the_next_one_comes(tmp_path):
    class Spoiled:
        fps, count, mode, note = 25.0, 3, "spoiled", ""
        position = 0

        def open(self):
            self.position = 0

        def begins_ns(self):
            return self.position * 40_000_000

        def ends_ns(self):
            return (self.position + 1) * 40_000_000

        def next_part(self):
            return 0

        def read(self):
            self.position += 1
            if self.position == 2:
                raise BadFrame("spoiled")
            return np.zeros(4, np.uint8) if self.position <= 3 else None

        def ending(self):
            return ""

        def close(self):
            pass

    source = RecordingCamera(Spoiled(), Pace.EVERY_FRAME, False, 0, 0, print)
    source.open()
    assert source.read().seq == 0
    with pytest.raises(BadFrame, match="spoiled"):
        source.read()
    assert source.read().seq == 2 and source.seq == 3


def test_a_video_opened_again_in_a_loop_goes_on_where_it_was(tmp_path):
    path = write_video(tmp_path / "x.mp4", list(range(0, 400, 40)), bframes=2)
    source = choose_camera(RunConfig(source=str(path), pace="every-frame", loop=True), 37, 3, print)
    source.open()
    frames = [source.read() for _ in range(4)]
    assert [f.seq for f in frames] == [37, 38, 39, 40] and [f.segment for f in frames] == [3, 3, 3, 4]
    assert source.index == 1
