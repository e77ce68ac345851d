"""Children that start, hang, die and are given up. None of them is really started."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace

import pytest

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.handover.board import NOTES, TEXT_BYTES, CameraState
from egostream.supervise.prepare import prepare_run
from egostream.supervise.processes import CAPTURE
from egostream.supervise.supervisor import Replan, Supervisor
from egostream.supervise.watched import STUCK_S


@pytest.fixture
def supervisor(monkeypatch):
    """Of six streams; its children are never really started."""
    setup = prepare_run(RunConfig(control=""), lambda line: None)
    said: list[str] = []
    streams = tuple(dataclasses.replace(setup.streams[0], config=RunConfig(stream=str(n))) for n in range(6))
    one = Supervisor(dataclasses.replace(setup, streams=streams), said.append)
    one.said = said

    def start(watched):
        watched.process, watched.started_s = SimpleNamespace(exitcode=None), time.monotonic()

    monkeypatch.setattr(one, "start", start)
    yield one
    one.cleanup.close()


def test_children_start_a_few_at_a_time(supervisor, monkeypatch):
    monkeypatch.setattr("egostream.supervise.supervisor.AT_ONCE", 2)
    for watched in supervisor.watched:
        supervisor.watch(watched)
    started = lambda: [watched for watched in supervisor.watched if watched.process]
    assert started() == supervisor.watched[:2] and started()[0] is supervisor.infer
    supervisor.run_board.beat("infer")
    for watched in supervisor.watched:
        supervisor.watch(watched)
    assert started() == supervisor.watched[:3]


def test_a_camera_whose_process_hangs_or_dies_does_not_stream(supervisor):
    """Its board says what it last wrote; status must not repeat that."""
    hung, dead, ended = supervisor.captures[:3]
    killed = []
    for watched in (hung, dead, ended):
        watched.process = SimpleNamespace(exitcode=None, kill=lambda: killed.append(1), join=lambda: None)
        watched.board["capture_state"], watched.board["capture_fps"] = CameraState.STREAMING, 30.0
    hung.started_s = time.monotonic() - 1000
    supervisor.watch(hung)
    assert killed and hung.board["capture_state"] == CameraState.LOST and hung.board["capture_fps"] == 0
    supervisor.watch(hung)
    assert len(killed) == 1 and len(supervisor.said) == 1
    hung.killed_s -= STUCK_S + 1  # still there long after: it hangs in the kernel
    for _ in range(2):
        supervisor.watch(hung)
    assert len(supervisor.said) == 2 and "cannot be ended" in supervisor.said[-1]
    dead.process.exitcode, dead.started_s = -9, time.monotonic()
    supervisor.watch(dead)
    assert dead.board["capture_state"] == CameraState.LOST and dead.start_at_s > 0
    ended.board["capture_state"], ended.process.exitcode = CameraState.ENDED, 1
    supervisor.watch(ended)
    assert ended.board["capture_state"] == CameraState.ENDED


def test_after_an_hours_suspension_nobody_is_blamed(supervisor):
    """All processes were stopped: the newest beats are an hour old, and so is the supervisor's own last tick."""
    an_hour_ago_s = time.monotonic() - 3600
    killed = []
    for watched in supervisor.watched:
        watched.process = SimpleNamespace(exitcode=None, kill=lambda: killed.append(1))
        watched.started_s = an_hour_ago_s - 3600
        watched.board[watched.field("beat_ns")] = int(an_hour_ago_s * 1e9)
    supervisor.run_board["infer_ready"], supervisor.last_tick_s = 1, an_hour_ago_s
    supervisor.forgive_suspension()
    for watched in supervisor.watched:
        supervisor.watch(watched)
    assert not killed and not supervisor.said
    for watched in supervisor.watched:  # one that does not come back is found out all the same
        watched.forgiven_s -= watched.spec.stale_s + 1
        supervisor.watch(watched)
    assert len(killed) == len(supervisor.watched)


def test_every_note_of_every_child_is_said_once_and_in_its_order(supervisor):
    first, second = (watched.board for watched in supervisor.captures[:2])
    supervisor.run_board.note("infer", "a")
    supervisor.run_board.note("infer", "b")
    second.note("capture", "c")
    first.note("capture", "d")
    first.note("capture", "d")  # once more the same, as of a camera that is looked for again and again
    first.note("capture", "e")
    supervisor.relay_notes()
    assert supervisor.said == ["a", "b", "stream 0: d", "stream 0: e", "stream 1: c"]
    first.note("capture", "e")
    first.note("capture", "d")
    supervisor.relay_notes()
    supervisor.relay_notes()
    assert supervisor.said[5:] == ["stream 0: d"]


def test_of_more_notes_than_the_board_holds_the_newest_are_said(supervisor):
    board = supervisor.run_board
    for _ in range(2):
        supervisor.said.clear()
        for n in range(NOTES + 3):
            board.note("infer", f"{n}")
        supervisor.relay_notes()
        assert supervisor.said == [f"{n}" for n in range(3, NOTES + 3)]
    board.note("infer", "é" * TEXT_BYTES)
    assert board.newest_note("infer") == "é" * (TEXT_BYTES // 2)


def test_a_plan_without_the_gpu_that_fails_ends_the_run(supervisor, monkeypatch):
    """It went on with the GPU's engines, which sent it here again."""

    def on_processor(setup, say):
        raise MemoryError

    monkeypatch.setattr("egostream.supervise.supervisor.on_processor", on_processor)
    replan = Replan(supervisor.setup, supervisor.say)
    replan.thread.join()
    with pytest.raises(EgostreamError, match="MemoryError"):
        replan.result()


def test_what_was_said_last_is_still_shown(supervisor):
    supervisor.run_board.note("infer", "the last word")
    supervisor.shut_down()
    assert supervisor.said == ["the last word"]


def test_a_child_that_cannot_be_started_is_tried_again(supervisor, monkeypatch):
    """Without file descriptors or memory; the run goes on meanwhile."""
    monkeypatch.undo()

    class Unstartable:
        def __init__(self, **_):
            pass

        def start(self):
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(supervisor.context, "Process", Unstartable)
    for _ in range(CAPTURE.most_restarts):
        supervisor.watch(supervisor.captures[0])
        assert supervisor.captures[0].process is None and "Too many open files" in supervisor.said[-1]
        supervisor.captures[0].start_at_s = 0
    supervisor.watch(supervisor.captures[0])
    assert "stream 0 is given up, the others go on" in supervisor.said[-1]
    supervisor.shut_down()


def test_a_child_that_works_in_between_is_never_given_up(supervisor):
    watched = supervisor.captures[0]
    for _ in range(50):
        watched.watch_process(SimpleNamespace(exitcode=None))
        supervisor.links[0].ring["written"] += 1
        assert watched.plan_restart(time.monotonic()) < 1.0
    supervisor.infer.watch_process(SimpleNamespace(exitcode=None))
    supervisor.links[3].board["infer_poses"] += 1
    supervisor.infer.restarts_in_a_row = 100
    assert supervisor.infer.plan_restart(time.monotonic()) < 1.0


def test_a_capture_that_keeps_failing_is_given_up_and_the_last_ends_the_run(supervisor):
    for number, watched in enumerate(supervisor.captures):
        watched.restarts_in_a_row, watched.started_s = CAPTURE.most_restarts, time.monotonic()
        if number < 5:
            supervisor.restart(watched, time.monotonic(), "it broke")
            assert (
                watched.board["capture_state"] == CameraState.FAILED
                and f"stream {number} is given up" in supervisor.said[-1]
            )
        else:
            with pytest.raises(EgostreamError, match="failed 9 times in a row; last: it broke"):
                supervisor.restart(watched, time.monotonic(), "it broke")
