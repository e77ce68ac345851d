"""The ring between two processes: newest wins, nothing waits, torn frames are never seen."""

from __future__ import annotations

import multiprocessing
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from egostream.capture import main as capture
from egostream.capture.demand import Demand
from egostream.config import RunConfig
from egostream.files import asset
from egostream.handover.board import RunBoard, StreamBoard
from egostream.handover.frame_ring import SLOTS, FrameRing
from egostream.handover.picture_ring import PictureRing
from egostream.handover.worker import StreamLink, Worker
from egostream.supervise.prepare import prepare_run
from egostream.types import NetworkInput

CONTEXT = multiprocessing.get_context("spawn")


def network_input(seq, t_capture_ns=0):
    image = np.full((256, 256, 3), seq % 251, np.uint8)
    return NetworkInput(seq, seq // 1000, t_capture_ns, image, {"grab": 1, "decode": 2, "rectify": 3}, t_capture_ns + 6)


@pytest.fixture
def ring():
    ring = FrameRing()
    yield ring, CONTEXT.Semaphore(0), CONTEXT.Semaphore(0)
    ring.close()


def test_the_newest_frame_wins_and_is_read_once(ring):
    frames, ready, taken = ring
    for seq in range(10):
        frames.write(network_input(seq), ready)
    got = frames.read_newest(taken)
    assert got.seq == 9 and (got.image == 9).all()
    assert frames.read_newest(taken) is None


def test_a_frame_carries_its_stamps_and_stages(ring):
    frames, ready, taken = ring
    t_capture_ns = time.monotonic_ns() - 5_000_000
    frames.write(network_input(1234, t_capture_ns), ready)
    got = frames.read_newest(taken)
    assert (got.seq, got.segment, got.t_capture_ns) == (1234, 1, t_capture_ns)
    assert (got.stages_ns["grab"], got.stages_ns["decode"], got.stages_ns["rectify"]) == (1, 2, 3)
    assert sum(got.stages_ns.values()) == got.t_done_ns - t_capture_ns >= 5_000_000


def test_a_frame_in_the_middle_of_being_written_is_not_taken(ring):
    frames, ready, taken = ring
    frames.write(network_input(1), ready)
    slot = frames.record["slots"][int(frames["written"]) % SLOTS]
    slot["generation"] += 1  # as a writer does on its way in
    assert frames.read_newest(taken) is None
    slot["generation"] += 1
    assert frames.read_newest(taken).seq == 1


def test_the_writer_waits_only_when_asked_to(ring):
    frames, ready, taken = ring
    frames.write(network_input(1), ready)
    assert not frames.wait_consumed(taken, 0.02)
    frames.read_newest(taken)
    assert frames.wait_consumed(taken, 0.02)


def write_flat_out(name, ready, seconds):
    frames = FrameRing(name)
    seq, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        seq += 1
        frames.write(network_input(seq), ready)
    frames.close()


def test_frames_are_whole_and_in_order_under_a_writer_at_full_speed(ring):
    frames, ready, taken = ring
    writer = CONTEXT.Process(target=write_flat_out, args=(frames.name, ready, 2.0))
    writer.start()
    seen = []
    while writer.is_alive() or not frames.is_consumed():
        ready.acquire(timeout=0.05)
        frame = frames.read_newest(taken)
        if frame is not None:
            assert (frame.image == frame.seq % 251).all(), "a torn frame was handed out"
            seen.append(frame.seq)
    writer.join()
    assert len(seen) > 50 and seen == sorted(set(seen))
    assert seen[-1] == frames["written"]


def test_a_killed_writer_leaves_the_ring_usable(ring):
    frames, ready, taken = ring
    for _ in range(3):
        writer = CONTEXT.Process(target=write_flat_out, args=(frames.name, ready, 30.0))
        writer.start()
        deadline = time.monotonic() + 20
        while frames.read_newest(taken) is None and time.monotonic() < deadline:
            ready.acquire(timeout=0.05)
        writer.kill()
        writer.join()
        while frames.read_newest(taken) is not None:
            pass
        frames.write(network_input(7), ready)
        got = frames.read_newest(taken)
        assert got is not None and got.seq == 7 and (got.image == 7).all()


def played(ring, between_ms: float, frame_ms: float = 33.0, jitter_ms: float = 0.0) -> tuple[float, list[float]]:
    """A camera whose frames are taken every ``between_ms``: the share decoded, and the age of each when taken, ms."""
    frames, ready, taken = ring
    frames["t_consumed_ns"] = 0  # the clock starts anew
    demand, rng, ages = Demand(frames), np.random.default_rng(0), []
    decoded, count, due_ms = 0, 400, 1000.0
    for n in range(count):
        now_ms = 1000 + n * frame_ms
        while due_ms < now_ms:  # the reader comes between two frames
            if (got := frames.read_newest(taken)) is not None:
                frames["t_consumed_ns"] = round(due_ms * 1e6)
                ages.append(due_ms - got.t_capture_ns / 1e6)
            due_ms += max(1.0, between_ms + rng.uniform(-jitter_ms, jitter_ms))
        if demand.wants(round(now_ms * 1e6), frame_ms / 1000):
            decoded += 1
            frames.write(network_input(n, round(now_ms * 1e6)), ready)
    return decoded / count, ages


def test_every_frame_is_decoded_where_the_reader_keeps_up(ring):
    for between_ms in (10.0, 33.0, 60.0):
        share, ages = played(ring, between_ms)
        assert share == 1 and max(ages[3:]) <= 33


def test_few_frames_are_decoded_for_a_reader_that_serves_many_streams(ring):
    share, ages = played(ring, 500.0)
    assert (
        share < 0.45 and max(ages[3:]) <= 34
    )  # of fifteen frames one at once, one that is old, and those before the next is due
    share, ages = played(ring, 500.0, jitter_ms=150.0)
    assert share < 0.6 and np.median(ages[3:]) <= 34 and max(ages) < 240


def test_few_frames_are_decoded_before_the_reader_is_known_to_be_fast(ring):
    """Or many cameras that start at once would leave it too little of the processor to ever become so."""
    frames, ready, taken = ring
    demand, wanted = Demand(frames), 0
    for n in range(60):  # two seconds, of which the reader takes the first frame and one in the middle
        now_ns = round((1000 + 33 * n) * 1e6)
        if demand.wants(now_ns, 0.033):
            wanted += 1
            frames.write(network_input(n, now_ns), ready)
        if n in (0, 30):
            frames.read_newest(taken)
            frames["t_consumed_ns"] = now_ns
    assert wanted < 20


def test_a_reader_that_is_gone_finds_a_fresh_frame_when_it_is_back(ring):
    frames, ready, taken = ring
    demand = Demand(frames)
    frames.write(network_input(1), ready)
    for taken_ns in (1_000_000_000, 1_500_000_000):
        frames["t_consumed_ns"] = taken_ns
        demand.wants(taken_ns, 0.033)
    late = taken_ns + 5_000_000_000
    assert not demand.wants(taken_ns + 33_000_000, 0.033)
    assert all(demand.wants(late + n * 33_000_000, 0.033) for n in range(5))


def test_a_capture_process_decodes_little_for_a_reader_that_takes_little(ring, monkeypatch):
    """The rule above is the one that is followed: a camera of 60 fps, of which four frames a second are taken."""
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")  # as it does itself, but not for the tests to come
    frames, ready, taken = ring
    source = str(asset("sample", "sample.avi"))
    setup = prepare_run(RunConfig(source=source, assume_canonical=True, fps=60, loop=True, precision="fp32"), print)
    run_board, board, pictures = RunBoard(), StreamBoard(), PictureRing()
    worker = Worker("capture", run_board, [StreamLink(taken, board, frames, pictures)], ready, stream=0)
    worker.parent = SimpleNamespace(is_alive=lambda: True)  # the supervisor
    run_board["infer_ready"] = 1
    thread = threading.Thread(target=capture.run, args=(setup.for_capture(0), worker), daemon=True)
    thread.start()
    try:
        takes, deadline = 0, time.monotonic() + 20
        while takes < 10 and time.monotonic() < deadline:
            takes += frames.read_newest(taken) is not None
            time.sleep(0.25)
        seen, decoded = int(board["capture_next_seq"]), int(frames["written"])
    finally:
        run_board["stop"] = 1
        thread.join(10)
        cv2.setNumThreads(-1)
        for shared in (run_board, board, pictures):
            shared.close()
    assert takes == 10 and not thread.is_alive()
    assert seen > 100 and takes <= decoded < 0.6 * seen
