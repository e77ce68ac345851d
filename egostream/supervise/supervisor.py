"""The supervisor: starts the processes, restarts what dies or hangs, answers control requests, cleans up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from egostream.errors import EgostreamError
from egostream.handover.board import Board, CameraState, RunBoard, StreamBoard
from egostream.handover.frame_ring import FrameRing
from egostream.handover.worker import StreamLink
from egostream.run_setup import CaptureSetup, RunSetup
from egostream.supervise.control import ControlServer
from egostream.supervise.processes import CAPTURE, INFER, USER_ERROR, ProcessSpec, enter
from egostream.supervise.signals import stop_signals, terminal_signals_blocked

TICK_S = 0.05
RESTART_FIRST_S, RESTART_LONGEST_S = 0.1, 5.0
FORGIVEN_AFTER_S = 60.0  # a process that lived this long starts over with the shortest pause
MAX_RESTARTS = 8  # in a row; then the run ends
STOP_S = 3.0
STUCK_S = 5.0  # a killed child that is still there after this long hangs in the kernel
AT_ONCE = max(2, os.cpu_count() or 2)  # children that start at once: more would only make each take longer than it may
OVER = (CameraState.ENDED, CameraState.FAILED)
SUSPENDED_S = 1.5  # a tick this late means that the whole run was suspended


@dataclass
class Watched:
    """One child and its history."""

    spec: ProcessSpec
    title: str  # for people
    board: Board  # where it beats
    stream: int | None = None  # a capture process's
    process: multiprocessing.process.BaseProcess | None = None
    started_s: float = 0.0
    restarts_in_a_row: int = 0
    start_at_s: float = 0.0  # when to start it, while it is down
    killed_s: float = 0.0  # when it was told to die, if it is not dead yet

    def field(self, name: str) -> str:
        """Name of one of its fields on its board."""
        return f"{self.spec.name}_{name}"

    def has_beaten(self) -> bool:
        return self.beat_s() > self.started_s

    def beat_s(self) -> float:
        return int(self.board[self.field("beat_ns")]) / 1e9


class Supervisor:
    """Runs the workers until told to stop, or until all recordings have ended.

    say: called with each line worth showing.
    """

    def __init__(self, setup: RunSetup, say: Callable[[str], None]):
        self.setup, self.say = setup, say
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
                link = StreamLink(self.context.Semaphore(0), StreamBoard(), FrameRing())
                cleanup.callback(link.close)
                self.links.append(link)
            self.cleanup = cleanup.pop_all()
        self.ready = self.context.Semaphore(0)
        self.infer = Watched(INFER, "infer process", self.run_board)
        titles = (
            ["capture process"]
            if len(self.links) == 1
            else [f"capture process of stream {name}" for name in self.names]
        )
        self.captures = [
            Watched(CAPTURE, title, link.board, number) for number, (title, link) in enumerate(zip(titles, self.links))
        ]
        self.watched = [self.infer, *self.captures]
        self.notes: dict[str, str] = {}
        self.is_stopping = False
        self.ended_s: float | None = None  # the last beat of inference seen when all recordings had ended
        self.last_tick_s = time.monotonic()

    def run(self, on_tick: Callable[[Supervisor], None] = lambda supervisor: None) -> None:
        """Supervise until the end, calling ``on_tick`` some twenty times a second. Raises EgostreamError when it cannot go on."""
        deadline = time.monotonic() + self.setup.config.seconds if self.setup.config.seconds else float("inf")
        with stop_signals(self.stop):
            try:
                while not self.is_stopping and time.monotonic() < deadline and not self.is_over():
                    self.forgive_suspension()
                    for watched in self.watched:
                        self.watch(watched)
                    self.relay_notes()
                    if self.control:
                        self.control.poll(TICK_S)
                    else:
                        time.sleep(TICK_S)
                    on_tick(self)
            finally:
                self.shut_down()

    def stop(self) -> None:
        self.is_stopping = True

    def is_over(self) -> bool:
        """Whether all recordings have ended and their last frames were dealt with."""
        if not all(link.board["capture_state"] in OVER and link.ring.is_consumed() for link in self.links):
            self.ended_s = None
            return False
        beat_s = self.infer.beat_s()
        if self.ended_s is None:
            self.ended_s = beat_s
        return beat_s > self.ended_s  # inference came round again: the last pose is out

    def forgive_suspension(self) -> None:
        """After Ctrl-Z and fg, or a laptop's sleep, every heartbeat is old and nobody is to blame."""
        now = time.monotonic()
        if now - self.last_tick_s > SUSPENDED_S:
            for watched in self.watched:
                watched.started_s = now
        self.last_tick_s = now

    # -- watching ------------------------------------------------------------------------------------------------

    def watch(self, watched: Watched) -> None:
        """Start, restart or kill one child, as its state asks."""
        now = time.monotonic()
        if watched.process is None:
            if now >= watched.start_at_s and self.count_starting() < AT_ONCE:
                self.start(watched)
            return
        code = watched.process.exitcode
        if code is None:
            if not watched.killed_s and self.is_hung(watched, now):
                self.say(f"{watched.title} stopped responding; restarting it")
                watched.killed_s = now
                watched.process.kill()
                self.mark_lost(watched)
            elif 0 < watched.killed_s < now - STUCK_S:
                self.say(f"{watched.title} cannot be ended (a driver hangs). Unplug its device, or start the run again")
                watched.killed_s = float("inf")  # said once
            return
        watched.process.join()
        watched.process = None
        has_ended = watched.spec is CAPTURE and watched.board["capture_state"] == CameraState.ENDED
        if code == 0 or has_ended:  # told to stop, or the recording is over
            watched.start_at_s = float("inf")
            return
        reason = watched.board.text(watched.field("fatal"))
        if code == USER_ERROR:
            self.give_up(watched, reason or f"the {watched.title} gave up without a reason")
        else:
            self.mark_lost(watched)
            self.plan_restart(watched, now, describe_exit(code, reason))

    def mark_lost(self, watched: Watched) -> None:
        """A camera whose process is down does not stream, whatever the process said last."""
        if watched.spec is CAPTURE and watched.board["capture_state"] not in OVER:
            watched.board["capture_state"], watched.board["capture_fps"] = CameraState.LOST, 0.0

    def count_starting(self) -> int:
        """Children that have not given a sign of life yet."""
        return sum(one.process is not None and not one.has_beaten() for one in self.watched)

    def is_hung(self, watched: Watched, now: float) -> bool:
        if now - watched.started_s < watched.spec.start_s and not watched.has_beaten():
            return False
        return now - max(watched.beat_s(), watched.started_s) > self.allowance(watched)

    def allowance(self, watched: Watched) -> float:
        """How long without a beat: the inference process is still loading its engines until it says it is ready."""
        is_loading = watched is self.infer and not self.run_board["infer_ready"]
        return watched.spec.start_s if is_loading else watched.spec.stale_s

    def give_up(self, watched: Watched, reason: str) -> None:
        """A worker cannot go on: the end of the run, unless it is one camera of several. Raises EgostreamError."""
        others = [
            one for one in self.captures if one is not watched and one.board["capture_state"] != CameraState.FAILED
        ]
        if watched is self.infer or not others:
            raise EgostreamError(reason)
        self.say(f"stream {self.names[watched.stream]} is given up, the others go on: {reason}")
        watched.board["capture_state"], watched.board["capture_fps"] = CameraState.FAILED, 0.0
        watched.start_at_s = float("inf")

    def plan_restart(self, watched: Watched, now: float, reason: str) -> None:
        if now - watched.started_s > FORGIVEN_AFTER_S:
            watched.restarts_in_a_row = 0
        if watched.restarts_in_a_row >= MAX_RESTARTS:
            self.give_up(
                watched,
                f"the {watched.title} failed {MAX_RESTARTS + 1} times in a row; last: {reason}. Check the installation: egostream doctor",
            )
            return
        pause = min(RESTART_FIRST_S * 2**watched.restarts_in_a_row, RESTART_LONGEST_S)
        watched.restarts_in_a_row += 1
        watched.start_at_s = now + pause
        watched.board[watched.field("restarts")] += 1
        self.say(f"{watched.title} ended ({reason}); restarting it in {pause:g} s")

    def start(self, watched: Watched) -> None:
        board = watched.board
        board[watched.field("beat_ns")] = 0
        board[watched.field("fatal")] = b""
        setup: RunSetup | CaptureSetup = self.setup
        if watched is self.infer:
            board["infer_ready"], links = 0, self.links
        else:
            board["capture_state"], board["capture_fps"] = CameraState.STARTING, 0.0
            links, setup = [self.links[watched.stream]], self.setup.for_capture(watched.stream)
        handles = [link.handles() for link in links]
        arguments = (watched.spec, setup, self.run_board.name, handles, self.ready, watched.stream)
        watched.process = self.context.Process(target=enter, args=arguments, name=f"egostream-{watched.spec.name}")
        with terminal_signals_blocked():
            watched.process.start()
        watched.started_s, watched.killed_s = time.monotonic(), 0.0

    def relay_notes(self) -> None:
        """Say each new note of a child once."""
        for watched in self.watched:
            note = watched.board.text(watched.field("note"))
            if note and note != self.notes.get(watched.title):
                several = watched.stream is not None and len(self.links) > 1
                self.say(f"stream {self.names[watched.stream]}: {note}" if several else note)
            self.notes[watched.title] = note

    # -- control and end -----------------------------------------------------------------------------------------

    def answer(self, request: dict) -> dict:
        """Answer one control request. ``stream`` names one of several; without it the first is meant, for reset all."""
        command, stream = request.get("cmd"), request.get("stream")
        if stream is not None and stream not in self.names:
            return {"ok": False, "error": f"no stream {stream!r}; this run has: {', '.join(self.names)}"}
        boards = [link.board for link, name in zip(self.links, self.names) if stream in (None, name)]
        if command == "ping":
            return {"ok": True, "t_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        if command == "status":
            return {"ok": True, "streams": self.names, **stream_status(boards[0])}
        if command == "reset":
            for board in boards:
                board["reset"] += 1
            return {"ok": True}
        if command == "stop":
            self.stop()
            return {"ok": True}
        return {"ok": False, "error": f"unknown cmd {command!r}; known: ping, status, reset, stop"}

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
        stuck = [child.name for child in children if child.exitcode is None]
        self.summaries = {name: summary(link.board) for name, link in zip(self.names, self.links)}
        self.cleanup.close()
        if stuck:  # in the kernel, in a driver: waiting for it at exit would never end
            self.say(f"{', '.join(stuck)} cannot be ended (a driver hangs); leaving it behind")
            os._exit(1)


def stream_status(board: StreamBoard) -> dict:
    """What the control socket tells of a stream."""
    numbers = {key: float(board[f"infer_{key}"]) for key in ("fps", "p50_ms", "p99_ms", "confidence")}
    counts = {"poses": int(board["infer_poses"]), "dropped_frames": int(board["infer_dropped"])}
    return {"camera": CameraState(int(board["capture_state"])).name.lower(), **counts, **numbers}


def summary(board: StreamBoard) -> dict:
    """What a stream did, at the end of its run."""
    counts = {key: int(board[f"infer_{key}"]) for key in ("poses", "dropped", "truth_frames")}
    return counts | {"mpjpe_mm": float(board["infer_mpjpe_mm"])}


def describe_exit(code: int, reason: str) -> str:
    return f"killed by signal {-code}" if code < 0 else reason or f"exit status {code}"
