"""The capture process: what it survives, what it gives up, and what it does not import."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import struct
import subprocess
import sys
import time
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cameras import MotionJPEGServer, open_camera, write_numbered_images, write_small_calibration
from conftest import ROOT

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputGeometry
from egostream.capture.decode import BadFrame, DamagedFrame, WrongSize
from egostream.capture.main import (
    HOPELESS,
    HOPELESS_DAMAGED,
    keep_place,
    pass_poison,
    place_to_go_on,
    skip_bad,
    take_mark,
)
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.weights import Weights
from egostream.handover.board import RunBoard, StreamBoard, bad_frames
from egostream.handover.frame_ring import FrameRing
from egostream.handover.picture_ring import PictureRing
from egostream.handover.worker import StreamLink, Worker
from egostream.run_setup import CaptureSetup, RunSetup, StreamSetup
from egostream.skeleton import JOINT_COUNT
from egostream.truth import Truth

#: What only inference or the supervisor needs, and what would take a capture process's memory and time.
NOT_FOR_CAPTURE = (
    "egostream.engine", "egostream.graph", "egostream.infer", "egostream.publish", "egostream.terminal",
    "onnx", "onnxruntime", "openvino", "safetensors", "tensorrt", "torch", "zmq",
)  # fmt: skip
#: A child as multiprocessing starts it: its entry point, then its arguments, then its target.
CHILD = """
import pickle, sys
from egostream.supervise.processes import CAPTURE, enter
setup = pickle.loads(sys.stdin.buffer.read())
from importlib import import_module
module, function = CAPTURE.target.split(":")
assert callable(getattr(import_module(module), function)) and callable(enter)
assert module == "egostream.capture.main" and type(setup).__name__ == "CaptureSetup"
print(*sorted(sys.modules), sep="\\n")
"""


def run_setup() -> RunSetup:
    """A run of two streams, one of a clip whose truth is known."""
    truth = Truth(np.zeros((3, JOINT_COUNT, 3)), np.zeros((3, JOINT_COUNT, 2)), np.ones((3, JOINT_COUNT), bool), 30.0)
    weights = Weights(network={}, step_ms=33.0, input=InputGeometry("canonical", "crop"), trained=False)
    streams = tuple(StreamSetup(RunConfig(source=name), canonical_calibration(), truth) for name in ("sample", "0"))
    return RunSetup(RunConfig(), weights, streams, ())


def test_a_capture_process_gets_its_stream_and_what_the_network_looks_at():
    setup = run_setup()
    for number in (0, 1):
        given = setup.for_capture(number)
        assert given == CaptureSetup(setup.streams[number], InputGeometry("canonical", "crop"))


def test_the_capture_process_imports_no_engine():
    """Or every camera of a run would cost the memory and the start of a network that it never runs."""
    given = pickle.dumps(run_setup().for_capture(0))
    done = subprocess.run([sys.executable, "-c", CHILD], input=given, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    modules = done.stdout.decode().split()
    assert "egostream.capture.main" in modules and "cv2" in modules
    wrong = [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in NOT_FOR_CAPTURE)]
    assert not wrong, wrong


def test_a_lost_stream_comes_back_in_a_running_pipeline(pipeline, tmp_path):
    server = MotionJPEGServer()
    calibration = write_small_calibration(tmp_path, (64, 48))
    run = pipeline(source=f"http://127.0.0.1:{server.port}/video.mjpg", calibration=str(calibration))
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        server.kill()
        deadline = time.monotonic() + 15
        while poses.status(1.0).camera.state != "lost" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert poses.status(1.0).camera.state == "lost" and "opening it again" in poses.status(1.0).camera.note
        while poses.newest(0) is not None:
            pass
        again, deadline = MotionJPEGServer(server.port), time.monotonic() + 20
        after = poses.newest(20)
        assert after is not None and after.seq > before.seq
        while "camera is back" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert run.process.poll() is None
    again.kill()
    assert "camera is back" in run.output() and "Traceback" not in run.output()


def test_broken_images_are_skipped_and_counted(pipeline, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    good = cv2.imencode(".jpg", np.zeros((1024, 1280, 3), np.uint8))[1].tobytes()
    for n in range(6):
        (frames / f"{n}.jpg").write_bytes(b"not a jpeg" if n in (0, 3) else good)
    run = pipeline(source=str(frames), assume_canonical=True, pace="every-frame")
    with run.subscribe(every=True) as poses:
        seqs = [run.wait_first(poses).seq]
        while (pose := poses.newest(1.0)) is not None:
            seqs.append(pose.seq)
        assert run.wait() == 0
    assert seqs == [1, 2, 4, 5]
    assert run.output().count("skipping frames: the image is broken") == 1


def test_damage_is_counted_by_its_reason_and_no_decoder_prints_a_line(pipeline, tmp_path):
    """libjpeg, libpng and OpenCV print past Python: so it is looked at what the run's own error stream got."""
    frames = tmp_path / "frames"
    frames.mkdir()
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (1024, 1280, 3), np.uint8), (0, 0), 2)
    whole = {suffix: cv2.imencode(suffix, picture)[1].tobytes() for suffix in (".jpg", ".png", ".bmp", ".webp")}
    for n in range(12):
        jpeg = whole[".jpg"]
        (frames / f"{n:02}_a.jpg").write_bytes(jpeg[:20_000] + jpeg[21_000:] if n % 3 else jpeg)
    for suffix, data in whole.items():
        (frames / f"20_cut{suffix}").write_bytes(data[: len(data) // 2])
        (frames / f"21_empty{suffix}").write_bytes(data[:40])
        (frames / f"22_whole{suffix}").write_bytes(data)
    run = pipeline(source=str(frames), assume_canonical=True, pace="every-frame")
    assert run.wait() == 0
    for line in run.output().splitlines():
        assert not re.search(r"Corrupt JPEG|libpng|ERROR|WARN|Premature|avcodec|\[mjpeg", line) or "skip" in line, line
    assert "8 poses, 16 frames dropped (6 broken, 10 damaged)" in run.output()
    assert run.output().count("skipping frames: the image is broken") == 2
    assert "10 frames skipped as damaged, the last since the image is broken: " in run.output()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: [(p / f"{n}.jpg").write_bytes(b"junk") for n in range(3)],
            "the source has no usable frame: skipping frames: the image is broken",
        ),
        (
            lambda p: cv2.imwrite(str(p / "1.png"), np.zeros((480, 640, 3), np.uint8)),
            "it is 640x480, calibration canonical is for 1280x1024",
        ),
    ],
)
def test_a_source_without_a_usable_frame_ends_in_one_line(pipeline, tmp_path, make, message):
    frames = tmp_path / "frames"
    frames.mkdir()
    make(frames)
    run = pipeline(source=str(frames), assume_canonical=True)
    assert run.wait() == 1
    last = run.output().strip().splitlines()[-1]
    assert last.startswith("egostream: ") and message in last and "Traceback" not in run.output()


@pytest.fixture
def worker():
    """A capture process's view of a run that nobody supervises."""
    context = multiprocessing.get_context("spawn")
    run_board, link = RunBoard(), StreamLink(context.Semaphore(0), StreamBoard(), FrameRing(), PictureRing())
    yield Worker("capture", run_board, [link], context.Semaphore(0), stream=0)
    link.close()
    run_board.close()


def test_a_source_of_broken_frames_only_is_given_up(worker):
    for _ in range(HOPELESS - 1):
        skip_bad(BadFrame("the image is broken"), worker)
    with pytest.raises(EgostreamError, match="the source cannot be used: the image is broken"):
        skip_bad(BadFrame("the image is broken"), worker)
    assert worker.board["capture_bad_frames"] == HOPELESS


def test_a_stream_is_not_given_up_for_damage_before_its_second_key_frame(worker):
    for _ in range(HOPELESS_DAMAGED - 1):
        skip_bad(DamagedFrame("part of it did not arrive"), worker)
    with pytest.raises(EgostreamError, match="the source cannot be used: part of it did not arrive"):
        skip_bad(DamagedFrame("part of it did not arrive"), worker)


def test_bad_frames_are_counted_by_reason_and_said_now_and_then(worker):
    worker.link.ring["written"] = 1
    for n in range(100):
        skip_bad(DamagedFrame(f"damage {n}"), worker)
    skip_bad(BadFrame("the image is broken"), worker)
    assert worker.board.notes("capture", 0, worker.board.count_notes("capture")) == [
        "skipping frames: damage 0",
        "10 frames skipped as damaged, the last since damage 9",
        "100 frames skipped as damaged, the last since damage 99",
        "skipping frames: the image is broken",
    ]
    assert bad_frames(worker.board) == {"broken": 1, "damaged": 100}
    assert worker.board["capture_bad_frames"] == 101


def test_a_source_that_gave_usable_frames_is_not_given_up(worker):
    worker.link.ring["written"] = 1
    for _ in range(HOPELESS + 1):
        skip_bad(BadFrame("the image is broken"), worker)
    skip_bad(WrongSize("it is 4x4"), worker)
    assert worker.board.newest_note("capture") == "skipping frames: it is 4x4"


def test_a_process_goes_on_where_the_one_before_it_was(worker):
    assert place_to_go_on(worker) == (0, 0)
    keep_place(SimpleNamespace(seq=41, segment=2), worker)
    assert place_to_go_on(worker) == (41, 3)


def test_a_mark_at_which_two_processes_ended_is_not_begun_at_again(worker, tmp_path):
    camera = open_camera(write_numbered_images(tmp_path), assume_canonical=True)
    camera.read()
    keep_place(camera, worker)
    assert take_mark(worker) == take_mark(worker) == camera.mark() != ""
    assert take_mark(worker) == ""
    keep_place(camera, worker)
    assert take_mark(worker) == camera.mark()


class Recorded:
    """A recording's camera that stands at a frame."""

    is_live = False

    def __init__(self, seq):
        self.seq, self.segment = seq, 0


def test_a_frame_at_which_two_processes_ended_is_passed_over_and_named(worker):
    board = worker.board
    keep_place(Recorded(6), worker)
    for deaths in (0, 1):
        camera = Recorded(int(board["capture_next_seq"]))
        pass_poison(camera, worker)
        assert camera.seq == 6 and board["capture_deaths_at"] == deaths
        board["capture_at_seq"] = camera.seq + 1  # and here it ends
    camera = Recorded(int(board["capture_next_seq"]))
    pass_poison(camera, worker)
    assert camera.seq == 7 == board["capture_next_seq"]
    assert "frame 6 ended the capture process 2 times and is passed over" in board.newest_note("capture")
    assert bad_frames(board) == {"broken": 1}


def test_a_process_that_ends_between_two_frames_or_at_another_one_is_not_poisoned(worker):
    board = worker.board
    for seq in range(5, 15):
        keep_place(Recorded(seq), worker)
        camera = Recorded(seq)
        pass_poison(camera, worker)
        assert camera.seq == seq
        board["capture_at_seq"] = camera.seq + 1
        pass_poison(camera := Recorded(seq), worker)
        assert camera.seq == seq


def test_a_pipe_and_a_gigapixel_in_a_folder_are_no_frames(pipeline, tmp_path):
    """Opening the pipe never ends; the picture of some kilobytes has 2.7 GB."""
    frames = tmp_path / "frames"
    frames.mkdir()
    good = cv2.imencode(".png", np.full((1024, 1280, 3), 90, np.uint8))[1].tobytes()
    for n in range(12):
        (frames / f"{n}.png").write_bytes(good)
    os.mkfifo(frames / "3.png.jpg")
    (frames / "5.png").write_bytes(huge_png(30_000, 30_000))
    run = pipeline(source=str(frames), assume_canonical=True, pace="every-frame")
    assert run.wait(60) == 0
    output = run.output()
    assert "11 poses, 1 frames dropped (1 broken)" in output and "ended (" not in output, output


def huge_png(width: int, height: int) -> bytes:
    """A PNG of one colour: its rows compress to nearly nothing."""
    row = b"\0" + bytes(width * 3)
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(row) for _ in range(100)) + squeeze.flush()  # cut short; the header counts
    chunks = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
