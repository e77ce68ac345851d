"""The supervisor: starts both processes, restarts what dies or hangs, answers control requests, cleans up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from egostream.board import Board, CameraState
from egostream.control import ControlServer
from egostream.errors import EgostreamError
from egostream.frame_ring import FrameRing
from egostream.process import PROCESSES, USER_ERROR, ProcessSpec, enter
from egostream.setup import RunSetup

TICK_S = 0.05
RESTART_FIRST_S, RESTART_LONGEST_S = 0.1, 5.0
FORGIVEN_AFTER_S = 60.0  # a process that lived this long starts over with the shortest pause
MAX_RESTARTS = 8  # in a row; then the run ends
STOP_S = 3.0
SUSPENDED_S = 1.5  # a tick this late means that the whole run was suspended


@dataclass
class Watched:
    """One child and its history."""

    spec: ProcessSpec
    process: multiprocessing.process.BaseProcess | None = None
    started_s: float = 0.0
    restarts_in_a_row: int = 0
    start_at_s: float = 0.0  # when to start it, while it is down
    is_killed: bool = False  # told to die, not dead yet


class Supervisor:
    """Runs the two workers until told to stop, or until a recording ends.

    say: called with each line worth showing.
    """

    def __init__(self, setup: RunSetup, say: Callable[[str], None]):
        self.setup, self.say = setup, say
        self.context = multiprocessing.get_context("spawn")
        with contextlib.ExitStack() as cleanup:
            self.control = ControlServer(setup.config.control, self.answer) if setup.config.control else None
            if self.control:
                cleanup.callback(self.control.close)
            self.board, self.ring = Board(), FrameRing()
            cleanup.callback(self.ring.close)
            cleanup.callback(self.board.close)
            self.cleanup = cleanup.pop_all()
        self.ready, self.taken = self.context.Semaphore(0), self.context.Semaphore(0)
        self.watched = [Watched(spec) for spec in PROCESSES]
        self.notes: dict[str, str] = {}
        self.is_stopping = False
        self.ended_ns: int | None = None  # the last beat of inference seen when the recording had ended
        self.last_tick_s = time.monotonic()

    def run(self, on_tick: Callable[[Board], None] = lambda board: None) -> None:
        """Supervise until the end, calling ``on_tick`` some twenty times a second. Raises EgostreamError when a worker cannot go on."""
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
                    on_tick(self.board)
            finally:
                self.shut_down()

    def stop(self) -> None:
        self.is_stopping = True

    def is_over(self) -> bool:
        """Whether a recording has ended and its last frame was dealt with."""
        if self.board["capture_state"] != CameraState.ENDED or not self.ring.is_consumed():
            self.ended_ns = None
            return False
        beat_ns = int(self.board["infer_beat_ns"])
        if self.ended_ns is None:
            self.ended_ns = beat_ns
        return beat_ns > self.ended_ns  # inference came round again: the last pose is out

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
        now, name = time.monotonic(), watched.spec.name
        if watched.process is None:
            if now >= watched.start_at_s:
                self.start(watched)
            return
        code = watched.process.exitcode
        if code is None:
            if not watched.is_killed and self.is_hung(watched, now):
                self.say(f"{name} process stopped responding; restarting it")
                watched.is_killed = True
                watched.process.kill()
            return
        watched.process.join()
        watched.process = None
        has_ended = name == "capture" and self.board["capture_state"] == CameraState.ENDED
        if code == 0 or has_ended:  # told to stop, or the recording is over
            watched.start_at_s = float("inf")
            return
        reason = self.board.text(f"{name}_fatal")
        if code == USER_ERROR:
            raise EgostreamError(reason or f"the {name} process gave up without a reason")
        self.plan_restart(watched, now, describe_exit(code, reason))

    def is_hung(self, watched: Watched, now: float) -> bool:
        if now - watched.started_s < watched.spec.start_s and not self.has_beaten(watched):
            return False
        return now - max(int(self.board[f"{watched.spec.name}_beat_ns"]) / 1e9, watched.started_s) > self.allowance(watched)

    def has_beaten(self, watched: Watched) -> bool:
        return int(self.board[f"{watched.spec.name}_beat_ns"]) / 1e9 > watched.started_s

    def allowance(self, watched: Watched) -> float:
        """How long without a beat: the inference process is still loading its engine until it says it is ready."""
        is_loading = watched.spec.name == "infer" and not self.board["infer_ready"]
        return watched.spec.start_s if is_loading else watched.spec.stale_s

    def plan_restart(self, watched: Watched, now: float, reason: str) -> None:
        name = watched.spec.name
        if now - watched.started_s > FORGIVEN_AFTER_S:
            watched.restarts_in_a_row = 0
        if watched.restarts_in_a_row >= MAX_RESTARTS:
            raise EgostreamError(
                f"the {name} process failed {MAX_RESTARTS + 1} times in a row; last: {reason}. Check the installation: egostream doctor"
            )
        pause = min(RESTART_FIRST_S * 2**watched.restarts_in_a_row, RESTART_LONGEST_S)
        watched.restarts_in_a_row += 1
        watched.start_at_s = now + pause
        self.board[f"{name}_restarts"] += 1
        self.say(f"{name} process ended ({reason}); restarting it in {pause:g} s")

    def start(self, watched: Watched) -> None:
        spec = watched.spec
        self.board[f"{spec.name}_beat_ns"] = 0
        self.board[f"{spec.name}_fatal"] = b""
        if spec.name == "infer":
            self.board["infer_ready"] = 0
        else:
            self.board["capture_state"], self.board["capture_fps"] = CameraState.STARTING, 0.0
        arguments = (spec, self.setup, self.board.name, self.ring.name, self.ready, self.taken)
        watched.process = self.context.Process(target=enter, args=arguments, name=f"egostream-{spec.name}")
        with terminal_signals_blocked():
            watched.process.start()
        watched.started_s, watched.is_killed = time.monotonic(), False

    def relay_notes(self) -> None:
        """Say each new note of a child once."""
        for watched in self.watched:
            field_name = f"{watched.spec.name}_note"
            note = self.board.text(field_name)
            if note and note != self.notes.get(field_name):
                self.say(note)
            self.notes[field_name] = note

    # -- control and end -----------------------------------------------------------------------------------------

    def answer(self, request: dict) -> dict:
        """Answer one control request."""
        command = request.get("cmd")
        if command == "ping":
            return {"ok": True, "t_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        if command == "status":
            board = self.board
            numbers = {key: float(board[f"infer_{key}"]) for key in ("fps", "p50_ms", "p99_ms", "confidence")}
            camera = CameraState(int(board["capture_state"])).name.lower()
            return {
                "ok": True,
                "camera": camera,
                "poses": int(board["infer_poses"]),
                "dropped_frames": int(board["infer_dropped"]),
                **numbers,
            }
        if command == "reset":
            self.board["reset"] += 1
            return {"ok": True}
        if command == "stop":
            self.stop()
            return {"ok": True}
        return {"ok": False, "error": f"unknown cmd {command!r}; known: ping, status, reset, stop"}

    def shut_down(self) -> None:
        """Stop both children, by force if need be, and remove everything shared."""
        self.board["stop"] = 1
        self.ready.release()
        self.taken.release()
        children = [watched.process for watched in self.watched if watched.process is not None]
        deadline = time.monotonic() + STOP_S
        for child in children:
            child.join(max(0.0, deadline - time.monotonic()))
        for child in children:
            if child.exitcode is None:
                child.kill()
                child.join(1.0)
        stuck = [child.name for child in children if child.exitcode is None]
        self.summary = {key: int(self.board[f"infer_{key}"]) for key in ("poses", "dropped", "truth_frames")}
        self.summary["mpjpe_mm"] = float(self.board["infer_mpjpe_mm"])
        self.cleanup.close()
        if stuck:  # in the kernel, in a driver: waiting for it at exit would never end
            self.say(f"{', '.join(stuck)} cannot be ended (a driver hangs); leaving it behind")
            os._exit(1)


@contextlib.contextmanager
def stop_signals(stop: Callable[[], None]):
    """Ctrl-C and SIGTERM end the run in order, for as long as this lasts."""
    previous = {number: signal.signal(number, lambda *_: stop()) for number in stopping_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def stopping_signals() -> list[signal.Signals]:
    """Ctrl-C, a polite kill, and a closed terminal, unless the run was told to outlive it (nohup)."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


@contextlib.contextmanager
def terminal_signals_blocked():
    """Children started meanwhile never see Ctrl-C or a closed terminal: these reach the supervisor, which stops them in order."""
    if not hasattr(signal, "pthread_sigmask"):
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def describe_exit(code: int, reason: str) -> str:
    return f"killed by signal {-code}" if code < 0 else reason or f"exit status {code}"
