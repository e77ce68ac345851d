"""The capture process of a stream: camera -> decode -> rectify -> ring."""

from __future__ import annotations

import math
import threading
import time

import cv2

from egostream.capture.camera import Camera, CameraLost
from egostream.capture.clips import Video
from egostream.capture.decode import BadFrame, WrongSize, prepare
from egostream.capture.demand import Demand, Rate
from egostream.capture.jpeg import Habit
from egostream.capture.pictures import PictureKeeper
from egostream.capture.poison import POISONOUS, watch_after
from egostream.capture.quiet import silence_libraries
from egostream.capture.recording import RecordingCamera
from egostream.capture.rectify import Rectifier
from egostream.capture.sources import choose_camera
from egostream.errors import EgostreamError, StreamEnded
from egostream.handover.board import BadReason, CameraState
from egostream.handover.worker import Worker
from egostream.run_setup import CaptureSetup

#: Pauses before a lost camera is opened again, seconds: each is twice the one before. Chosen by hand; not measured.
REOPEN_FIRST_S, REOPEN_LONGEST_S = 0.25, 5.0
#: Unusable frames before the first usable one after which a source is given up: at 30 frames a second, three seconds
#: of a camera that warms up. Chosen by hand; not measured.
HOPELESS = 100
#: The same for damaged ones: a packet that is lost spoils a network stream up to its next key frame, often ten seconds.
HOPELESS_DAMAGED = 1000
#: How often it is looked whether the network is loaded, a camera opened, or a frame taken, seconds. A beat goes out
#: each time; the supervisor waits for one far longer.
READY_POLL_S, OPEN_POLL_S, TAKEN_POLL_S = 0.02, 0.05, 0.2


def run(setup: CaptureSetup, worker: Worker) -> None:
    """The capture process: read a frame, see whether it is wanted, decode and rectify it, write it to the ring.

    A lost camera is opened again. Raises EgostreamError when the source cannot be used.
    """
    cv2.setNumThreads(1)  # the network needs the cores more than a 0.2 ms remap does
    silence_libraries()
    rectifier = Rectifier(setup.stream.view(setup.geometry))
    camera = choose_camera(setup.stream.config, *place_to_go_on(worker), worker.say, setup.stream.is_live)
    if isinstance(camera, RecordingCamera):
        avoid_poison(camera, worker)
    open_first(camera, worker)
    if not camera.is_live:
        wait_ready(worker)
    rate, demand, habit = Rate(), Demand(worker.link.ring), Habit()
    pictures = PictureKeeper(worker.link.pictures, camera.is_paced, worker.say)
    lost = ""  # why the camera is to be opened again
    while not worker.should_stop():
        if lost:  # outside the handling of CameraLost, which keeps the reader, and so its socket or device, alive
            reopen(camera, lost, worker)
            rate, lost = Rate(), ""
            continue
        worker.board["capture_state"] = CameraState.STREAMING
        if camera.is_paced and not wait_taken(worker):
            break
        if isinstance(camera, RecordingCamera) and (pause_s := camera.pause_s()) and worker.sleep(pause_s):
            break
        try:
            worker.board["capture_at_seq"] = camera.seq + 1
            frame = camera.read()
            worker.board["capture_fps"] = rate.tick()
            if not demand.wants(time.monotonic_ns(), rate.period_s):
                continue
            network_input = prepare(frame, rectifier, time.monotonic_ns(), habit)
        except StreamEnded:
            pictures.finish()
            return end(worker)
        except CameraLost as error:
            lost = str(error)
            count_bad(BadReason.REPEATED, error.repeated, worker)
            continue
        except BadFrame as bad:
            skip_bad(bad, worker)
            continue
        finally:
            keep_place(camera, worker)
        worker.link.ring.write(network_input, worker.ready)
        pictures.keep(frame)  # after the hand-over, which it must not delay
    pictures.finish()
    camera.close()


def place_to_go_on(worker: Worker) -> tuple[int, int]:
    """``seq`` and ``segment`` where a capture process begins: 0, or where the one before it was."""
    return int(worker.board["capture_next_seq"]), int(worker.board["capture_next_segment"])


def keep_place(camera: Camera, worker: Worker) -> None:
    """Note where a capture process that is started after this one goes on. What it reads is a new segment."""
    worker.board["capture_next_seq"], worker.board["capture_next_segment"] = camera.seq, camera.segment + 1
    worker.board["capture_at_seq"] = worker.board["capture_deaths_at"] = 0
    if isinstance(camera, RecordingCamera):
        worker.board.say("capture_mark", camera.mark())
        worker.board["capture_mark_tries"] = 0


def avoid_poison(camera: RecordingCamera, worker: Worker) -> None:
    """Keep this process from ending where the ones before it did: in a decoder, at a frame, or at a mark.

    A death in the decoder says nothing against the frame that was asked for, nor against the mark.
    """
    board = worker.link.board
    has_died_decoding = bool(board.text("capture_at_packet"))
    watch = watch_after(board, camera.seq, worker.say)
    if isinstance(camera.recording, Video):
        camera.recording.watch = watch
    if has_died_decoding:
        board["capture_mark_tries"] = board["capture_at_seq"] = 0
    camera.last_mark = take_mark(worker)
    pass_poison(camera, worker)


def take_mark(worker: Worker) -> str:
    """The mark that the process before left. One at which two processes ended is not used a third time: empty."""
    worker.board["capture_mark_tries"] += 1
    return worker.board.text("capture_mark") if worker.board["capture_mark_tries"] <= POISONOUS else ""


def pass_poison(camera: Camera, worker: Worker) -> None:
    """Pass over a frame of a recording at which two capture processes ended: the next one would end there, too."""
    board = worker.board
    if camera.is_live or board["capture_at_seq"] != camera.seq + 1:
        board["capture_deaths_at"] = 0
        return
    board["capture_deaths_at"] += 1
    if board["capture_deaths_at"] < POISONOUS:
        return
    worker.say(f"frame {camera.seq} ended the capture process {POISONOUS} times and is passed over")
    count_bad(BadReason.BROKEN, 1, worker)
    camera.seq += 1
    board["capture_next_seq"], board["capture_deaths_at"] = camera.seq, 0


def wait_ready(worker: Worker) -> None:
    """Hold a recording until the network is loaded, or its first seconds would go by unseen."""
    while not worker.run_board["infer_ready"] and not worker.sleep(READY_POLL_S):
        pass


def wait_taken(worker: Worker) -> bool:
    """Hold a paced recording until inference took the frame before; False when told to stop."""
    while not worker.link.ring.wait_consumed(worker.link.taken, timeout=TAKEN_POLL_S):
        if worker.should_stop():
            return False
    return True


def open_first(camera: Camera, worker: Worker) -> None:
    """Open the camera. One that this run has streamed from before is waited for: it may only just have been let go.

    Raises EgostreamError when any other cannot be opened.
    """
    reason = ""
    try:
        open_beating(camera, worker)
    except EgostreamError as error:
        if not (camera.is_live and camera.seq):
            raise
        reason = str(error)
    if reason:  # not where the error is handled: its frames hold what was opened
        reopen(camera, reason, worker)
    if not worker.should_stop():
        worker.board.say("capture_mode", camera.mode)


def reopen(camera: Camera, reason: str, worker: Worker) -> None:
    """Close and open again by the same path, with growing pauses, until it works or the run ends."""
    board, pause_s = worker.board, REOPEN_FIRST_S
    board["capture_state"] = CameraState.LOST
    board["capture_fps"] = 0.0
    camera.close()
    while not worker.should_stop():
        worker.say(f"camera lost: {reason}; opening it again in {pause_s:g} s")
        if worker.sleep(pause_s):
            return
        try:
            if open_beating(camera, worker):
                worker.say(f"camera is back: {camera.mode}")
                board.say("capture_mode", camera.mode)
            return
        except EgostreamError as error:
            reason, pause_s = str(error), min(2 * pause_s, REOPEN_LONGEST_S)


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
        thread.join(OPEN_POLL_S)
    if failures:
        raise failures.pop()  # a list that kept it would be a circle, which holds what the attempt had opened
    return True


def skip_bad(bad: BadFrame, worker: Worker) -> None:
    """Count a frame that cannot be used, by its reason, and say it the 1st, 10th, 100th ... time.

    Raises EgostreamError for a source that has nothing else.
    """
    count = count_bad(bad.reason, 1, worker)
    if count == 1:
        worker.say(f"skipping frames: {bad}")
    elif math.log10(count).is_integer():
        worker.say(f"{count} frames skipped as {bad.reason}, the last since {bad}")
    if has_usable_frames(worker):
        return
    most = HOPELESS_DAMAGED if bad.reason is BadReason.DAMAGED else HOPELESS
    if isinstance(bad, WrongSize) or worker.board["capture_bad_frames"] >= most:
        raise EgostreamError(f"the source cannot be used: {bad}")


def count_bad(reason: BadReason, frames: int, worker: Worker) -> int:
    """Count frames that are not used, and return how many there are for the same reason."""
    worker.board["capture_bad_frames"] += frames
    worker.board[reason.field] += frames
    return int(worker.board[reason.field])


def has_usable_frames(worker: Worker) -> bool:
    """Whether any frame of the stream went to inference so far."""
    return worker.link.ring["written"] > 0


def end(worker: Worker) -> None:
    """A recording is over. One without a single usable frame is an error, not a short recording."""
    board = worker.board
    if not has_usable_frames(worker):
        raise EgostreamError(f"the source has no usable frame: {board.newest_note('capture') or 'it is empty'}")
    board["capture_state"] = CameraState.ENDED
