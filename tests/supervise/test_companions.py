"""Companions of a run: real processes that finish, crash, refuse and hang."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from processes import wait_for

from egostream.supervise import companions as module
from egostream.supervise.companions import Companions
from egostream.supervise.control import ControlServer
from egostream.supervise.processes import CompanionSpec


@pytest.fixture
def start():
    """Start companions by their functions of ``made_companions``: (companions, what was said)."""
    made = []

    def start(**targets) -> tuple[Companions, list[str]]:
        said: list[str] = []
        specs = [CompanionSpec(name, f"made_companions:{name}", setup) for name, setup in targets.items()]
        made.append(Companions(specs, multiprocessing.get_context("spawn"), said.append))
        return made[-1], said

    yield start
    for one in made:
        for watched in one.watched:
            if watched.process is not None:
                watched.process.kill()
                watched.process.join()
        one.close()


def watch_until(companions: Companions, condition) -> bool:
    return wait_for(lambda: companions.watch() or condition(), 30.0)


def test_a_companion_ends_after_the_run_and_still_gets_answers(start, tmp_path):
    endpoint = f"ipc://{tmp_path}/control"
    server = ControlServer(endpoint, lambda request: {"ok": request["cmd"] == "ping"})
    companions, said = start(finishes=endpoint, is_over=None)
    assert watch_until(companions, lambda: said and companions.watched[1].start_at_s > time.monotonic() + 1e6)
    companions.shut_down(server.poll)
    server.close()
    assert said == ["finishes: is here", "finishes: pong"]
    assert companions.watched[0].process.exitcode == 0


def test_one_that_crashes_is_tried_again_a_few_times_and_given_up_in_one_line(start, tmp_path):
    companions, said = start(is_killed=tmp_path / "starts", refuses=None)
    down = lambda: all(watched.start_at_s == module.NEVER for watched in companions.watched)
    assert watch_until(companions, down), said
    companions.shut_down(time.sleep)
    assert (tmp_path / "starts").read_text() == "0 1 2 3 "
    assert sorted(said) == [
        *(f"is_killed ended (killed by signal 9); restarting it in {pause} s" for pause in (0.1, 0.2, 0.4)),
        "is_killed is given up, the stream goes on: it failed 4 times in a row; last: killed by signal 9",
        "refuses is given up, the stream goes on: its port is taken",
    ]


def test_one_that_does_not_end_is_killed(start, monkeypatch):
    monkeypatch.setattr(module, "FINISH_S", 0.1)
    companions, said = start(never_ends=None)
    assert watch_until(companions, lambda: said)
    companions.shut_down(time.sleep)
    assert said == ["never_ends: is here", "never_ends did not end within 0.1 s and was killed"]
    assert companions.watched[0].process.exitcode == -9
