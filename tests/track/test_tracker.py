"""The tracker: poses in this process, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import psutil
import pytest
from conftest import ROOT
from sample_clip import sample_images

from egostream import EgostreamError, Tracker
from egostream.handover.board import BadReason
from egostream.track.errors import FrameUnusable, NotFinite, TrackerBusy, TrackerClosed

STEP_NS = 33_333_333


@pytest.fixture(scope="module")
def images():
    return sample_images()


@pytest.fixture(scope="module")
def tracker():
    with Tracker(assume_canonical=True) as one:
        yield one


@pytest.fixture(autouse=True)
def fresh(request):
    if "tracker" in request.fixturenames:
        request.getfixturevalue("tracker").reset()


def same(a, b) -> bool:
    """Whether two poses are equal to the bit."""
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) and getattr(a, name).dtype == getattr(b, name).dtype
        for name in ("joints", "keypoints", "confidence")
    )


def test_poses_come_typed_and_without_sockets_or_processes(tracker, images):
    process = psutil.Process()
    before = len(process.children()), len(process.net_connections())
    pose = tracker(images[0], 5)
    assert pose.joints.shape == (15, 3) and pose.keypoints.shape == (15, 2) and pose.t_capture_ns == 5
    assert (len(process.children()), len(process.net_connections())) == before


def test_a_recording_gives_what_its_frames_give(tracker, images):
    whole = list(tracker.recording("sample"))
    assert [pose.seq for pose in whole] == list(range(len(images)))
    tracker.reset()
    single = [tracker(image.tobytes(), pose.t_capture_ns) for image, pose in zip(images[:20], whole)]
    assert all(same(*pair) for pair in zip(single, whole))


def test_what_went_before_a_reset_leaves_no_trace(tracker, images):
    first = [tracker(images[n], n * STEP_NS) for n in range(6)]
    for n in range(40, 50):
        tracker(images[n], n * STEP_NS)
    tracker.reset()
    again = [tracker(images[n], n * STEP_NS) for n in range(6)]
    assert all(same(*pair) for pair in zip(first, again))
    assert not same(first[5], tracker(images[5], 7 * STEP_NS))  # which tells that the past counts


def test_pixels_do_as_well_as_bytes(tracker, images):
    encoded = tracker(images[0], 0)
    tracker.reset()
    pixels = cv2.imdecode(images[0], cv2.IMREAD_COLOR_BGR)
    decoded = tracker(pixels[:, ::-1].copy()[:, ::-1], 0)  # not in one piece
    assert np.abs(encoded.joints - decoded.joints).max() < 0.02


@pytest.mark.parametrize(
    ("frame", "reason", "words"),
    [
        (np.zeros((480, 640, 3), np.uint8), BadReason.WRONG_SIZE, "640x480.*1280x1024"),
        (np.zeros(100, np.uint8), BadReason.BROKEN, "broken"),
        (b"", BadReason.BROKEN, "broken"),
        (np.zeros((1024, 1280), np.uint8), BadReason.BROKEN, r"uint8 \[1024, 1280\]"),
        (np.zeros((1024, 1280, 3)), BadReason.BROKEN, "float64"),
        ("frame.jpg", BadReason.BROKEN, "this is str"),
    ],
)
def test_a_frame_of_no_use_is_named_and_harms_no_other(tracker, images, frame, reason, words):
    first = tracker(images[0], 0)
    with pytest.raises(FrameUnusable, match=words) as caught:
        tracker(frame, STEP_NS)
    assert caught.value.reason is reason
    second = tracker(images[1], 2 * STEP_NS)
    tracker.reset()
    assert same(first, tracker(images[0], 0)) and same(second, tracker(images[1], 2 * STEP_NS))


def test_a_damaged_jpeg_is_refused(tracker, images):
    with pytest.raises(FrameUnusable) as caught:
        tracker(images[0][: len(images[0]) // 2], 0)
    assert caught.value.reason is BadReason.DAMAGED


@pytest.mark.parametrize("t_ns", [0.5, "1", None])
def test_times_are_integers(tracker, images, t_ns):
    with pytest.raises(EgostreamError, match="integer nanoseconds"):
        tracker(images[0], t_ns)


def test_another_thread_is_refused(tracker, images):
    caught = []

    def call():
        try:
            tracker(images[0], 0)
        except TrackerBusy as error:
            caught.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert len(caught) == 1 and "belongs to the thread" in caught[0]
    tracker(images[0], 0)


def test_while_a_recording_is_followed_nothing_else_is_asked(tracker, images):
    following = tracker.recording("sample")
    first = next(following)
    with pytest.raises(TrackerBusy, match="follows a recording"):
        tracker(images[0], 0)
    following.close()
    assert same(tracker(images[0], 0), first)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_closed_one_says_so(images):
    with Tracker(assume_canonical=True) as closed:
        pass
    with pytest.raises(TrackerClosed):
        closed(images[0], 0)


def test_a_network_that_fails_is_an_error(tracker, images, monkeypatch):
    engines = tracker.stream.estimator.body_engines
    engine, inputs = engines[1]

    class Failing:
        def run(self):
            return {name: np.full_like(value, np.nan) for name, value in engine.run().items()}

    monkeypatch.setitem(engines, 1, (Failing(), inputs))
    with pytest.raises(NotFinite, match="not finite, in"):
        tracker(images[0], 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no calibration.*calibrate.py"),
        ({"calibration": "nofile.json"}, "no calibration file nofile.json"),
        ({"assume_canonical": True, "weights": "nowhere"}, "not a weights folder"),
        ({"assume_canonical": True, "publish": "tcp://*:1"}, "no setting 'publish'"),
        ({"assume_canonical": True, "stature": 17}, "stature is 17"),
        ({"assume_canonical": True, "precision": "fp4"}, "fp4"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, words):
    with pytest.raises(EgostreamError, match=words):
        Tracker(**settings)


@pytest.mark.parametrize(("source", "words"), [("nowhere.mp4", "no source"), ("rtsp://127.0.0.1:9/x", "live camera")])
def test_what_is_no_recording_is_refused(tracker, source, words):
    with pytest.raises(EgostreamError, match=words):
        list(tracker.recording(source))


def test_importing_egostream_stays_light():
    heavy = "numpy", "cv2", "openvino", "zmq", "av", "msgspec"
    code = f"import sys, egostream; print([m for m in {heavy} if m in sys.modules]); from egostream import Tracker"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0 and done.stdout.strip() == "[]", done.stderr
