"""The capture process of a stream: camera -> decode -> rectify -> ring."""

from __future__ import annotations

import os
import threading
import time

import cv2

from egostream.calibration.view import CameraView
from egostream.capture.camera import Camera, CameraLost
from egostream.capture.decode import BadFrame, WrongSize, prepare
from egostream.capture.demand import Demand, Rate
from egostream.capture.rectify import Rectifier
from egostream.capture.sources import choose_camera
from egostream.errors import EgostreamError, StreamEnded
from egostream.handover.board import CameraState
from egostream.handover.worker import Worker
from egostream.run_setup import CaptureSetup

REOPEN_FIRST_S, REOPEN_LONGEST_S = 0.25, 5.0
HOPELESS = 100  # unusable frames before the first usable one


def run(setup: CaptureSetup, worker: Worker) -> None:
    """The capture process: wait for a frame, decode, rectify, publish to the ring; re-open what is lost."""
    cv2.setNumThreads(1)  # the network needs the cores more than a 0.2 ms remap does
    cv2.utils.logging.setLogLevel(
        cv2.utils.logging.LOG_LEVEL_SILENT
    )  # failures come as return values, and as our one line
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    board, rate, stream, demand = worker.board, Rate(), setup.stream, Demand(worker.link.ring)
    rectifier = Rectifier(CameraView(setup.geometry, stream.camera))
    camera = choose_camera(
        stream.config, int(board["capture_next_seq"]), int(board["capture_next_segment"]), worker.say
    )
    open_first(camera, worker)
    if not camera.is_live:
        wait_ready(worker)
    while not worker.should_stop():
        board["capture_state"] = CameraState.STREAMING
        if camera.is_paced and not wait_taken(worker):
            break
        try:
            frame = camera.read()
            board["capture_fps"] = rate.tick()
            if not demand.wants(time.monotonic_ns(), rate.period):
                continue
            image = prepare(frame, rectifier, time.monotonic_ns())
        except StreamEnded:
            return end(worker)
        except CameraLost as lost:
            reopen(camera, str(lost), worker)
            rate = Rate()
            continue
        except BadFrame as bad:
            skip_bad(bad, worker)
            continue
        finally:
            board["capture_next_seq"], board["capture_next_segment"] = camera.seq, camera.segment + 1
        worker.link.ring.write(image, worker.ready)
    camera.close()


def wait_ready(worker: Worker) -> None:
    """Hold a recording until the network is loaded, or its first seconds would go by unseen."""
    while not worker.run_board["infer_ready"] and not worker.sleep(0.02):
        pass


def open_beating(camera: Camera, worker: Worker) -> bool:
    """Open a camera in a thread, since drivers and name servers may block for long, and beat meanwhile.

    Returns False when the run ends first. Raises what ``camera.open`` raises.
    """
    failures: list[Exception] = []

    def attempt() -> None:
        try:
            camera.open()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, name="camera-open", daemon=True)
    thread.start()
    while thread.is_alive():
        if worker.should_stop():
            return False
        thread.join(0.05)
    if failures:
        raise failures[0]
    return True


def open_first(camera: Camera, worker: Worker) -> None:
    """Open the camera. One that this run has streamed from before is waited for: it may only just have been let go."""
    try:
        open_beating(camera, worker)
    except EgostreamError as error:
        if not (camera.is_live and camera.seq):
            raise
        reopen(camera, str(error), worker)
    if not worker.should_stop():
        worker.board.say("capture_mode", camera.mode)


def end(worker: Worker) -> None:
    """A recording is over. One without a single usable frame is an error, not a short recording."""
    board = worker.board
    if worker.link.ring["written"] == 0:
        raise EgostreamError(f"the source has no usable frame: {board.text('capture_note') or 'it is empty'}")
    board["capture_state"] = CameraState.ENDED


def skip_bad(bad: BadFrame, worker: Worker) -> None:
    """Count a frame that cannot be used and say why, once per reason; give up on a source that has nothing else."""
    worker.board["capture_bad_frames"] += 1
    worker.say(f"skipping frames: {bad}")
    if worker.link.ring["written"] == 0 and (
        isinstance(bad, WrongSize) or worker.board["capture_bad_frames"] >= HOPELESS
    ):
        raise EgostreamError(f"the source cannot be used: {bad}")


def wait_taken(worker: Worker) -> bool:
    """Hold a paced recording until inference took the frame before; False when told to stop."""
    while not worker.link.ring.wait_consumed(worker.link.taken, timeout=0.2):
        if worker.should_stop():
            return False
    return True


def reopen(camera, reason: str, worker: Worker) -> None:
    """Close and open again by the same path, with growing pauses, until it works or the run ends."""
    board, pause = worker.board, REOPEN_FIRST_S
    board["capture_state"] = CameraState.LOST
    board["capture_fps"] = 0.0
    camera.close()
    while not worker.should_stop():
        worker.say(f"camera lost: {reason}; opening it again in {pause:g} s")
        if worker.sleep(pause):
            return
        try:
            if open_beating(camera, worker):
                worker.say(f"camera is back: {camera.mode}")
                board.say("capture_mode", camera.mode)
            return
        except EgostreamError as error:
            reason, pause = str(error), min(2 * pause, REOPEN_LONGEST_S)
