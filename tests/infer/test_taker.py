"""Which frames are taken for the network, in which order, and how long one waits for another."""

from __future__ import annotations

import multiprocessing
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from egostream.config import RunConfig, StreamConfig
from egostream.handover.board import CameraState, RunBoard, StreamBoard
from egostream.handover.frame_ring import FrameRing
from egostream.handover.picture_ring import PictureRing
from egostream.handover.worker import StreamLink, Worker
from egostream.infer.main import run
from egostream.infer.taker import FrameTaker
from egostream.supervise.prepare import prepare_run
from egostream.types import NetworkInput

CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture
def worker():
    """The inference process's view of four streams, in this process."""
    links = [StreamLink(CONTEXT.Semaphore(0), StreamBoard(), FrameRing(), PictureRing()) for _ in range(4)]
    board = RunBoard()
    for link in links:
        link.board["capture_state"] = CameraState.STREAMING
    yield Worker("infer", board, links, CONTEXT.Semaphore(0), None)
    for link in links:
        link.close()
    board.close()


def write(worker, number, t_ns, seq=1):
    image = np.full((256, 256, 3), number, np.uint8)
    worker.links[number].ring.write(
        NetworkInput(seq, 0, t_ns, image, {"grab": 0, "decode": 0, "rectify": 0}, t_ns), worker.ready
    )


def test_every_fresh_stream_is_in_the_batch_the_oldest_frame_first(worker):
    for number, t_ns in ((2, 30), (0, 10), (3, 20)):
        write(worker, number, t_ns)
    write(worker, 2, 40, seq=2)  # newest wins
    taker = FrameTaker(worker, wait_s=0.0)
    assert taker.has_fresh([0, 1]) and not taker.has_fresh([1])
    frames = taker.take(idle_s=0.0, limit=4)
    assert [(number, frame.t_capture_ns) for number, frame in frames.items()] == [(0, 10), (3, 20), (2, 40)]
    assert all((frame.image == number).all() for number, frame in frames.items())
    assert not taker.take(idle_s=0.01, limit=4) and not taker.has_fresh(range(4))


def test_the_estimator_is_told_who_is_hurried_and_whether_they_wait(worker, monkeypatch, tmp_path):
    """Of a camera-like recording beside one of which every frame is wanted."""
    told = []
    manifest = SimpleNamespace(backend="", backend_version="", device="", precision="")

    def load(setup, say, beat, live_streams, is_frame_waiting, tellers):
        for number in (None, 1, 0):
            if number is not None:
                write(worker, number, 10)
            told.append((list(live_streams), is_frame_waiting()))
        return SimpleNamespace(streams=[SimpleNamespace(view=None)] * 2, manifest=manifest, motion="", most_at_once=1)

    monkeypatch.setattr("egostream.infer.main.load_estimator", load)
    worker.parent = SimpleNamespace(is_alive=lambda: False)  # it ends before its first frame
    streams = (StreamConfig(), StreamConfig(pace="every-frame"))
    run(prepare_run(RunConfig(streams=streams, publish=f"ipc://{tmp_path}/poses", control=""), print), worker)
    assert told == [([0], False), ([0], False), ([0], True)]


def test_whoever_waited_longest_is_served_first(worker):
    """Every stream always has a fresh frame, and one batch holds three of the four: each gets the same share."""
    taker, served = FrameTaker(worker, wait_s=1.0), []
    for turn in range(8):
        for number in range(4):
            write(worker, number, 100 * turn + number + 1, seq=turn)
        frames = taker.take(idle_s=0.0, limit=3)
        assert len(frames) == 3 and all(frame.seq == turn for frame in frames.values()), (
            "the newest frames, without waiting"
        )
        served += frames
    assert [served.count(number) for number in range(4)] == [6, 6, 6, 6]


def test_a_slow_camera_is_waited_for_only_so_long(worker):
    wait_s = 0.2
    write(worker, 0, 10)
    started = time.monotonic()
    assert set(FrameTaker(worker, wait_s).take(1.0, 4)) == {0}
    assert time.monotonic() - started >= wait_s  # the others are streaming: they had their chance

    for number in (1, 2, 3):
        worker.links[number].board["capture_state"] = CameraState.LOST
    write(worker, 0, 20, seq=2)
    started = time.monotonic()
    assert set(FrameTaker(worker, wait_s=30.0).take(1.0, 4)) == {0}
    assert time.monotonic() - started < 15  # nobody waits for a camera that is gone


@pytest.mark.parametrize(("fps", "is_waited_for"), [(1000 / 60, True), (0.01, False)])
def test_a_camera_is_waited_for_when_its_frame_is_about_to_come(worker, fps, is_waited_for):
    """Two cameras whose frames come together, and the second of which shows the next 60 ms later or long after."""
    for number in (2, 3):
        worker.links[number].board["capture_state"] = CameraState.LOST
    taker = FrameTaker(worker, wait_s=10.0)
    for number in (0, 1):
        worker.links[number].board["capture_fps"] = fps
        write(worker, number, time.monotonic_ns())
    assert set(taker.take(1.0, 4)) == {0, 1}
    write(worker, 0, time.monotonic_ns(), seq=2)
    later = threading.Timer(0.06, lambda: write(worker, 1, time.monotonic_ns(), seq=2))
    later.start()
    assert set(taker.take(1.0, 4)) == ({0, 1} if is_waited_for else {0})
    later.join()
