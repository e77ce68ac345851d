"""The supervisor: starts the processes, restarts what dies or hangs, answers control requests, cleans up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from egostream.capture.picture_size import MOST_PIXELS
from egostream.drafts import sweep_drafts
from egostream.errors import EgostreamError, first_line
from egostream.files import cache_folder
from egostream.handover.board import CameraState, RunBoard, StreamBoard, bad_frames
from egostream.handover.frame_ring import FrameRing
from egostream.handover.picture_ring import PictureRing
from egostream.handover.record import sweep
from egostream.handover.worker import StreamLink
from egostream.publish.connections import raise_file_limit
from egostream.run_setup import CaptureSetup, RunSetup
from egostream.supervise.companions import Companions
from egostream.supervise.control import ControlServer, picture_answer
from egostream.supervise.describe import description
from egostream.supervise.notify import Notifier
from egostream.supervise.prepare import on_processor
from egostream.supervise.processes import CAPTURE, GPU_UNUSABLE, INFER, USER_ERROR, CompanionSpec, enter
from egostream.supervise.signals import stop_signals, terminal_signals_blocked
from egostream.supervise.watched import OVER, Watched, describe_exit

#: OpenCV reads this once, when a child loads it: a picture of more pixels is broken, whatever memory there is. It is
#: as for videos.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

TICK_S = 0.05
STOP_S = 3.0  # children that are told to stop have so long; then they are killed
#: Children that start at once: more would only make each take longer than it may.
AT_ONCE = max(2, os.cpu_count() or 2)
#: Characters of streams' names in an answer that says no.
MAX_NAMES = 1000
SUSPENDED_S = 1.5  # a tick this late means that the whole run was suspended


class Supervisor:
    """Runs the workers until told to stop, or until all recordings have ended.

    say: called with each line worth showing. companions: clients that start and end with the run.
    """

    def __init__(self, setup: RunSetup, say: Callable[[str], None], companions: Sequence[CompanionSpec] = ()):
        self.setup, self.say = setup, say
        raise_file_limit()  # before any child is started, which inherits it
        sweep()
        sweep_drafts(cache_folder())
        self.names = [stream.config.stream for stream in setup.streams]
        self.context = multiprocessing.get_context("spawn")
        with contextlib.ExitStack() as cleanup:
            self.control = ControlServer(setup.config.control, self.answer) if setup.config.control else None
            if self.control:
                cleanup.callback(self.control.close)
            self.run_board = RunBoard()
            cleanup.callback(self.run_board.close)
            self.links: list[StreamLink] = []
            for _ in setup.streams:
                # One by one: what was made before the memory was full goes again.
                board = cleanup.enter_context(contextlib.closing(StreamBoard()))
                ring = cleanup.enter_context(contextlib.closing(FrameRing()))
                pictures = cleanup.enter_context(contextlib.closing(PictureRing()))
                self.links.append(StreamLink(self.context.Semaphore(0), board, ring, pictures))
            self.companions = Companions(companions, self.context, say)
            cleanup.callback(self.companions.close)
            self.cleanup = cleanup.pop_all()
        self.ready = self.context.Semaphore(0)
        self.infer = Watched(INFER, "infer process", self.run_board, progress=self.count_poses)
        self.captures = [
            Watched(CAPTURE, self.capture_title(name), link.board, number, progress=partial(count_frames, link))
            for number, (name, link) in enumerate(zip(self.names, self.links))
        ]
        self.watched = [self.infer, *self.captures]
        self.replan: Replan | None = None
        self.notifier = Notifier()
        self.is_stopping = False
        self.beat_at_end_s: float | None = None  # the last beat of inference seen when all recordings had ended
        self.last_tick_s = time.monotonic()
        self.summaries: dict[str, dict] = {}  # what each stream did, once the run is over

    def capture_title(self, name: str) -> str:
        """What a stream's capture process is called where people read."""
        return "capture process" if len(self.names) == 1 else f"capture process of stream {name}"

    def count_poses(self) -> int:
        """Poses of all streams so far."""
        return sum(int(link.board["infer_poses"]) for link in self.links)

    def run(self, on_tick: Callable[[Supervisor], None] = lambda supervisor: None) -> None:
        """Supervise until the end, calling ``on_tick`` some twenty times a second.

        Raises EgostreamError when it cannot go on.
        """
        deadline = time.monotonic() + self.setup.config.seconds if self.setup.config.seconds else float("inf")
        with stop_signals(self.stop):
            try:
                while not self.is_stopping and time.monotonic() < deadline and not self.is_over():
                    self.forgive_suspension()
                    self.take_replan()
                    for watched in self.watched:
                        self.watch(watched)
                    self.companions.watch()
                    self.relay_notes()
                    self.answer_for(TICK_S)
                    self.notifier.tick(has_poses=self.count_poses() > 0)
                    on_tick(self)
            finally:
                self.notifier.stopping()
                self.shut_down()

    def stop(self) -> None:
        """End the run in order, at the next tick."""
        self.is_stopping = True

    def is_over(self) -> bool:
        """Whether all recordings have ended and their last frames were dealt with."""
        if not all(link.board["capture_state"] in OVER and link.ring.is_consumed() for link in self.links):
            self.beat_at_end_s = None
            return False
        beat_s = self.infer.beat_s()
        if self.beat_at_end_s is None:
            self.beat_at_end_s = beat_s
        return beat_s > self.beat_at_end_s  # inference came round again: the last pose is out

    def forgive_suspension(self) -> None:
        """After Ctrl-Z and fg, or a laptop's sleep, every heartbeat is old and nobody is to blame."""
        now = time.monotonic()
        if now - self.last_tick_s > SUSPENDED_S:
            for watched in self.watched:
                watched.forgive(now)
        self.last_tick_s = now

    # -- watching ----------------------------------------------------------------------------------------------------

    def watch(self, watched: Watched) -> None:
        """Start, restart or kill one child, as its state asks."""
        now = time.monotonic()
        if watched.process is None:
            if now >= watched.start_at_s and self.count_starting() < AT_ONCE:
                self.start(watched)
        elif watched.process.exitcode is not None:
            self.take_leave(watched, now, watched.process.exitcode)
        elif not watched.killed_s and watched.is_hung(now, self.allowance(watched)):
            self.say(f"{watched.title} stopped responding; restarting it")
            watched.kill(now)
        elif watched.is_newly_stuck(now):
            self.say(f"{watched.title} cannot be ended (a driver hangs). Unplug its device, or start the run again")

    def take_leave(self, watched: Watched, now: float, exit_code: int) -> None:
        """Decide what follows the end of a child. Raises EgostreamError when the run cannot go on without it."""
        watched.reap()
        reason = watched.board.text(watched.field("fatal"))
        if watched.has_ended_well(exit_code):
            watched.stay_down()
        elif exit_code == USER_ERROR:
            self.give_up(watched, reason or f"the {watched.title} gave up without a reason")
        elif exit_code == GPU_UNUSABLE:
            self.say(f"the GPU is not used: {reason}")
            watched.stay_down()
            self.replan = Replan(self.setup, self.say)
        else:
            watched.mark_lost()
            self.restart(watched, now, describe_exit(exit_code, reason))

    def take_replan(self) -> None:
        """Start inference again once its engines for the processor are there. Raises EgostreamError if none can be."""
        if self.replan and self.replan.is_done():
            self.setup, self.replan = self.replan.result(), None
            self.infer.start_again()

    def count_starting(self) -> int:
        """Children that have not given a sign of life yet."""
        return sum(one.process is not None and not one.has_beaten() for one in self.watched)

    def allowance(self, watched: Watched) -> float:
        """How long without a beat: the inference process is still loading its engines until it says it is ready."""
        is_loading = watched is self.infer and not self.run_board["infer_ready"]
        return watched.spec.start_s if is_loading else watched.spec.stale_s

    def give_up(self, watched: Watched, reason: str) -> None:
        """A worker cannot go on: the end of the run, unless it is one camera of several. Raises EgostreamError."""
        others = [
            one for one in self.captures if one is not watched and one.board["capture_state"] != CameraState.FAILED
        ]
        if watched.stream is None or not others:
            raise EgostreamError(reason)
        self.say(f"stream {self.names[watched.stream]} is given up, the others go on: {reason}")
        watched.set_camera(CameraState.FAILED)
        watched.stay_down()

    def restart(self, watched: Watched, now: float, reason: str) -> None:
        """Start a child again after a pause, or give it up after too many. Raises EgostreamError as ``give_up``."""
        if (pause := watched.plan_restart(now)) is None:
            self.give_up(
                watched,
                f"the {watched.title} failed {watched.spec.most_restarts + 1} times in a row; last: {reason}. "
                "Check the installation: egostream doctor",
            )
        else:
            self.say(f"{watched.title} ended ({reason}); restarting it in {pause:g} s")

    def start(self, watched: Watched) -> None:
        """Start a child's process."""
        watched.clear_board()
        setup: RunSetup | CaptureSetup
        if watched.stream is None:
            self.run_board["infer_ready"], links, setup = 0, self.links, self.setup
        else:
            watched.set_camera(CameraState.STARTING)
            links, setup = [self.links[watched.stream]], self.setup.for_capture(watched.stream)
        handles = [link.handles() for link in links]
        arguments = (watched.spec, setup, self.run_board.name, handles, self.ready, watched.stream)
        process = self.context.Process(target=enter, args=arguments, name=f"egostream-{watched.spec.name}")
        try:
            with terminal_signals_blocked():
                process.start()
        except (OSError, EOFError, ValueError) as error:  # no file descriptors, no memory, too many processes
            watched.started_s = time.monotonic()
            self.restart(watched, time.monotonic(), f"it cannot be started: {first_line(error)}")
            return
        watched.watch_process(process)

    def relay_notes(self) -> None:
        """Say each new note of a child."""
        for watched in self.watched:
            is_one_of_several = watched.stream is not None and len(self.names) > 1
            for note in watched.take_notes():
                self.say(f"stream {self.names[watched.stream or 0]}: {note}" if is_one_of_several else note)

    # -- control and end ---------------------------------------------------------------------------------------------

    def answer_for(self, seconds: float) -> None:
        """Answer control requests for so long."""
        if self.control:
            self.control.poll(seconds)
        else:
            time.sleep(seconds)

    def answer(self, request: dict) -> dict:
        """Answer one control request. ``stream`` names one of several; without it: the first, for reset all."""
        command, stream = request.get("cmd"), request.get("stream")
        if stream is not None and stream not in self.names:
            known = ", ".join(self.names)[:MAX_NAMES]
            return {"ok": False, "error": f"no stream {shown(stream)}; this run has: {known}"}
        links = [link for link, name in zip(self.links, self.names) if stream in (None, name)]
        if command == "ping":
            return {"ok": True, "t_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        if command == "status":
            return {"ok": True, "streams": self.names, **stream_status(links[0].board)}
        if command == "reset":
            for link in links:
                link.board["reset"] += 1
            return {"ok": True}
        if command == "pictures":
            return picture_answer(links[0].pictures, request)
        if command == "describe":
            return {"ok": True, **description(self.setup, self.links.index(links[0]))}
        if command == "stop":
            self.stop()
            return {"ok": True}
        return {
            "ok": False,
            "error": f"unknown cmd {shown(command)}; known: ping, status, reset, pictures, describe, stop",
        }

    def shut_down(self) -> None:
        """Stop all children, by force if need be, and remove everything shared."""
        self.run_board["stop"] = 1
        self.ready.release()
        for link in self.links:
            link.taken.release()
        children = [watched.process for watched in self.watched if watched.process is not None]
        deadline = time.monotonic() + STOP_S
        for child in children:
            child.join(max(0.0, deadline - time.monotonic()))
        for child in children:
            if child.exitcode is None:
                child.kill()
                child.join(1.0)
        self.relay_notes()
        self.companions.shut_down(self.answer_for)  # last: the last pose is out, and pictures can still be asked for
        stuck = [child.name for child in children if child.exitcode is None]
        self.summaries = {name: summary(link.board) for name, link in zip(self.names, self.links)}
        self.cleanup.close()
        if stuck:  # in the kernel, in a driver: waiting for it at exit would never end
            self.say(f"{', '.join(stuck)} cannot be ended (a driver hangs); leaving it behind")
            os._exit(1)


def shown(value: object) -> str:
    """A value of a request, which may be anything, as errors print it."""
    return repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"


def count_frames(link: StreamLink) -> int:
    """Frames that capture handed over so far."""
    return int(link.ring["written"])


def stream_status(board: StreamBoard) -> dict:
    """What the control socket tells of a stream."""
    numbers = {key: float(board[f"infer_{key}"]) for key in ("fps", "p50_ms", "p99_ms", "confidence")}
    counts = {"poses": int(board["infer_poses"]), "dropped_frames": int(board["infer_dropped"])}
    return {"camera": CameraState(int(board["capture_state"])).name.lower(), **counts, **numbers}


def summary(board: StreamBoard) -> dict:
    """What a stream did, at the end of its run."""
    counts = {key: int(board[f"infer_{key}"]) for key in ("poses", "dropped", "truth_frames")}
    return counts | {"mpjpe_mm": float(board["infer_mpjpe_mm"]), "bad_frames": bad_frames(board)}


class Replan:
    """The run without its GPU, being planned: its engines may have to be compiled, while the cameras go on."""

    def __init__(self, setup: RunSetup, say: Callable[[str], None]):
        self.setup, self.failure = setup, ""
        self.thread = threading.Thread(target=self.plan, args=(say,), name="replan", daemon=True)
        self.thread.start()

    def plan(self, say: Callable[[str], None]) -> None:
        """Plan, in a thread."""
        try:
            self.setup = on_processor(self.setup, say)
        except Exception as error:  # whatever it is, the run must not go on with the engines of the GPU
            self.failure = str(error) or type(error).__name__

    def is_done(self) -> bool:
        """Whether ``result`` is there."""
        return not self.thread.is_alive()

    def result(self) -> RunSetup:
        """The same run on the processor. Raises EgostreamError when it cannot be."""
        if self.failure:
            raise EgostreamError(self.failure)
        return self.setup
