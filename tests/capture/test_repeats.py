"""A live camera that hangs and repeats one picture is lost; still pictures and recordings are not."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from cameras import MotionJPEGServer, open_camera, read_all, write_small_calibration

from egostream.capture.camera import CameraLost
from egostream.capture.repeats import CHANGES_SEEN, REPEATED_S, RepeatWatch

FRAME_S = 1 / 30


def noisy(rng) -> np.ndarray:
    return rng.integers(0, 256, (64, 80, 3), np.uint8)


def play(watch: RepeatWatch, pictures, start_s: float = 0.0, frame_s: float = FRAME_S) -> int | None:
    """Index of the picture at which the camera counts as stuck; None if it never does."""
    for n, picture in enumerate(pictures):
        if watch.is_stuck(picture, start_s + n * frame_s):
            return n
    return None


@pytest.fixture
def watched() -> RepeatWatch:
    """A watch that has seen enough noise."""
    rng, watch = np.random.default_rng(0), RepeatWatch()
    assert play(watch, [noisy(rng) for _ in range(CHANGES_SEEN + 1)]) is None
    return watch


def test_a_noisy_camera_that_repeats_one_picture_is_stuck_after_a_second(watched):
    same = noisy(np.random.default_rng(1))
    at = play(watched, [same.copy() for _ in range(60)], 10.0)
    assert at is not None and REPEATED_S <= at * FRAME_S < REPEATED_S + 2 * FRAME_S
    assert watched.repeats == at


def test_encoded_pictures_are_compared_by_their_bytes():
    rng, watch = np.random.default_rng(0), RepeatWatch()
    images = [cv2.imencode(".jpg", noisy(rng))[1].reshape(-1) for _ in range(CHANGES_SEEN + 1)]
    assert play(watch, images) is None
    assert play(watch, [images[-1].copy() for _ in range(60)], 2.0) is not None


def test_a_camera_that_repeats_pictures_to_keep_its_rate_is_not_stuck(watched):
    rng = np.random.default_rng(2)
    assert play(watched, [picture for _ in range(40) for picture in [noisy(rng)] * 12], 10.0) is None


def test_a_slow_camera_is_not_stuck_by_one_picture_that_comes_twice(watched):
    rng = np.random.default_rng(2)
    pairs = [picture for _ in range(10) for picture in [noisy(rng)] * 2]
    assert play(watched, pairs, 10.0, frame_s=1.5) is None


def test_a_made_picture_that_never_changes_is_not_stuck():
    assert play(RepeatWatch(), [np.zeros((64, 80, 3), np.uint8)] * 300) is None


def test_a_camera_that_goes_on_repeating_when_it_is_opened_again_is_stuck_again(watched):
    same = noisy(np.random.default_rng(1))
    assert play(watched, [same] * 60, 10.0) is not None
    watched.start()
    at = play(watched, [same] * 60, 20.0)
    assert at is not None and at * FRAME_S >= REPEATED_S


def test_the_least_noise_is_seen(watched):
    """One grey level in one of all rows that are looked at."""
    rng = np.random.default_rng(1)
    pictures = [noisy(rng)] * 60
    for n in range(0, 60, 10):
        pictures[n] = pictures[n].copy()
        pictures[n][32, n, 0] ^= 1
    assert play(watched, pictures, 10.0) is None


def test_a_recording_may_repeat_one_picture(tmp_path):
    for n in range(80):
        cv2.imwrite(str(tmp_path / f"{n:03}.png"), noisy(np.random.default_rng(max(n, 40))))
    assert len(read_all(open_camera(tmp_path, pace="max-rate"))) == 80


def test_a_stream_that_repeats_one_picture_is_lost_and_counted(pipeline, tmp_path):
    server = MotionJPEGServer()
    calibration = write_small_calibration(tmp_path, (64, 48))
    run = pipeline(source=f"http://127.0.0.1:{server.port}/video.mjpg", calibration=str(calibration))
    with run.subscribe() as poses:
        pose = run.wait_first(poses)
        while pose.seq < 2 * CHANGES_SEEN:
            pose = poses.newest(5.0)
        server.is_stuck = True
        deadline = time.monotonic() + 20
        while "it repeats one picture" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        server.is_stuck = False
        while "camera is back" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        camera = poses.status(3.0).camera
    server.kill()
    assert "camera lost: it repeats one picture, " in run.output() and "camera is back" in run.output()
    assert camera.bad_frames_by_reason["repeated"] == camera.bad_frames >= REPEATED_S * 20


def test_a_lost_camera_says_how_often_it_repeated():
    server = MotionJPEGServer()
    camera = open_camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    deadline = time.monotonic() + 10
    while camera.watch.changes < CHANGES_SEEN and time.monotonic() < deadline:
        camera.read()
    server.is_stuck = True
    with pytest.raises(CameraLost, match="repeats one picture, [0-9]+ times") as lost:
        while time.monotonic() < deadline:
            camera.read()
    assert lost.value.repeated >= REPEATED_S * 20
    camera.close()
    server.kill()
