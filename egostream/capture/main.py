"""The capture process of a stream: camera -> decode -> rectify -> ring."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque

import cv2
import numpy as np

from egostream.capture.camera import Camera, CameraLost, choose_camera
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError, StreamEnded
from egostream.handover.board import CameraState
from egostream.handover.frame_ring import FrameRing
from egostream.supervise.prepare import RunSetup
from egostream.supervise.processes import Worker
from egostream.types import CameraFrame, NetworkInput

REOPEN_FIRST_S, REOPEN_LONGEST_S = 0.25, 5.0
JPEG_START = b"\xff\xd8"
EARLY_FRAMES = 2  # so many frames before one is due, the next is decoded
LAST = 4  # times between frames taken
OLD_NS = 200_000_000  # a frame that waits for longer is replaced whether or not one is due
HOPELESS = 100  # unusable frames before the first usable one
DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR_BGR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8,
}  # fmt: skip


def run(setup: RunSetup, worker: Worker) -> None:
    """The capture process: wait for a frame, decode, rectify, publish to the ring; re-open what is lost."""
    cv2.setNumThreads(1)  # the network needs the cores more than a 0.2 ms remap does
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # failures come as return values, and as our one line
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    board, rate, stream, demand = worker.board, Rate(), setup.streams[worker.stream], Demand(worker.link.ring)
    rectifier = Rectifier(setup.weights.input, stream.camera)
    camera = choose_camera(stream.config, int(board["capture_next_seq"]), int(board["capture_next_segment"]), worker.say)
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
    if worker.link.ring["written"] == 0 and (isinstance(bad, WrongSize) or worker.board["capture_bad_frames"] >= HOPELESS):
        raise EgostreamError(f"the source cannot be used: {bad}")


class BadFrame(Exception):
    """One frame that cannot be used; the camera goes on."""


class WrongSize(BadFrame):
    """A frame of another size than the calibration's."""


def prepare(frame: CameraFrame, rectifier: Rectifier, t_read_ns: int) -> NetworkInput:
    """Decode at the reduction that the rectifier wants, and rectify. Raises BadFrame."""
    reduced = decode(frame, rectifier)
    t_decoded_ns = time.monotonic_ns()
    image = rectifier.rectify(reduced)
    t_rectified_ns = time.monotonic_ns()
    stages = {
        "grab": max(0, t_read_ns - frame.t_capture_ns) if frame.has_host_stamp else 0,
        "decode": t_decoded_ns - t_read_ns,
        "rectify": t_rectified_ns - t_decoded_ns,
    }
    return NetworkInput(frame.seq, frame.segment, frame.t_capture_ns, image, stages, t_rectified_ns)


def decode(frame: CameraFrame, rectifier: Rectifier) -> np.ndarray:
    """The frame as BGR at the rectifier's reduced size."""
    reduction = rectifier.reduction
    if frame.is_encoded and frame.data[:2].tobytes() == JPEG_START:
        image = decode_bytes(frame.data, DECODE_FLAGS[reduction])
        check_size(image, rectifier.reduced_size(), rectifier)
        return image
    image = decode_bytes(frame.data, cv2.IMREAD_COLOR_BGR) if frame.is_encoded else frame.data
    check_size(image, rectifier.camera.size, rectifier)
    return image if reduction == 1 else cv2.resize(image, rectifier.reduced_size(), interpolation=cv2.INTER_AREA)


def decode_bytes(data: np.ndarray, flags: int) -> np.ndarray:
    """An encoded image as BGR, its pixels as they are stored. Raises BadFrame."""
    try:
        image = cv2.imdecode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:  # damaged PNG headers raise, damaged JPEGs return nothing
        image = None
    if image is None:
        raise BadFrame("the image is broken")
    return image


def check_size(image: np.ndarray, wanted: tuple[int, int], rectifier: Rectifier) -> None:
    height, width = image.shape[:2]
    if (width, height) != tuple(wanted):
        scale = rectifier.camera.size[0] / wanted[0]
        got = f"{width * scale:.0f}x{height * scale:.0f}"
        expected = "x".join(map(str, rectifier.camera.size))
        raise WrongSize(
            f"it is {got}, calibration {rectifier.camera.name} is for {expected}. Give this camera's own: --calibration FILE, made by python tools/calibrate.py"
        )


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


class Demand:
    """Which frames are worth decoding, where inference serves so many streams that it takes few of each.

    One right after a frame was taken, so that there always is one to take; then hardly any until the next is due,
    by the shortest time between the last few. Decoding all of them would take the processor from the network.
    """

    def __init__(self, ring: FrameRing):
        self.ring, self.taken_ns, self.between_ns, self.decoded_ns = ring, 0, deque(maxlen=LAST), 0

    def wants(self, now_ns: int, frame_s: float | None) -> bool:
        """frame_s: time between the camera's frames, if known."""
        if (taken_ns := int(self.ring["t_consumed_ns"])) != self.taken_ns:
            self.between_ns.extend([taken_ns - self.taken_ns] if self.taken_ns else [])
            self.taken_ns = taken_ns
        due_ns = self.taken_ns + min(self.between_ns, default=math.inf) - EARLY_FRAMES * 1e9 * (frame_s or 0)
        wanted = self.ring.is_consumed() or now_ns >= min(due_ns, self.decoded_ns + OLD_NS)
        self.decoded_ns = now_ns if wanted else self.decoded_ns
        return wanted


class Rate:
    """Frames per second, smoothed over about a second."""

    def __init__(self):
        self.last, self.period = None, None

    def tick(self) -> float:
        now = time.monotonic()
        if self.last is not None:
            elapsed = now - self.last
            weight = min(1.0, elapsed)
            self.period = elapsed if self.period is None else self.period + weight * (elapsed - self.period)
        self.last = now
        return 1 / self.period if self.period else 0.0
