"""Faults in random order, for half a minute; and a verdict that can be a bad one."""

from __future__ import annotations

import json
import mmap
import sys

import av
import psutil
import pytest

from egostream.errors import EgostreamError
from tools import chaos
from tools.breaking.faults import FAULTS, Outcome
from tools.breaking.sender import PAYLOAD, PICTURES, encoded_pictures
from tools.breaking.subject import MIB, private_mib, resident_mib
from tools.chaos import by_part, felt_s, growth, verdict

SEED = 12
CALM = {"private_mib": 100.0, "fds": 30.0, "threads": 5.0, "shm_mib": 9.0, "shm_pieces": 4.0, "workers_mib": 500.0}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm and /proc")
def test_half_a_minute_of_faults_breaks_nothing(capsys):
    chaos.main(["--seconds", "30", "--seed", str(SEED), "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["problems"] == [] and figures["faults"] >= 4 and figures["poses"] > 100


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells shared pages from others")
def test_shared_pages_that_are_looked_at_are_not_the_process_s_own():
    me, size = psutil.Process(), 32 * MIB
    shared = mmap.mmap(-1, size)  # as a ring of pictures is, untouched at first
    before = private_mib(me), resident_mib(me)
    look_at(shared)
    assert resident_mib(me) - before[1] > 30 and private_mib(me) - before[0] < 8
    own = mmap.mmap(-1, 2 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # malloc could have such pages already
    look_at(own)
    assert private_mib(me) - before[0] > 60
    shared.close()
    own.close()


def look_at(memory: mmap.mmap) -> None:
    """Touch every page. What is written is small: no large array of the test's may count as its own memory."""
    memory[:: mmap.PAGESIZE] = bytes(len(memory) // mmap.PAGESIZE)


def outcome(**changes) -> Outcome:
    """A run without a fault: poses for ten seconds, no growth."""
    gaps = [(n / 30, (n + 1) / 30) for n in range(300)]
    return Outcome(**{"poses": 300, "gaps": gaps, "samples": [dict(CALM) for _ in range(20)]} | changes)


def growing(key: str, by: float) -> list[dict[str, float]]:
    """Samples in which one measure grows each time."""
    return [{**CALM, key: CALM[key] + by * n} for n in range(40)]


def test_a_level_that_is_reached_is_told_from_a_slope():
    samples = [{**CALM, "private_mib": 100.0 if n < 10 else 104.0} for n in range(40)]
    level, slope = outcome(samples=samples), outcome(samples=growing("private_mib", 0.1))
    assert by_part(level, "private_mib") == [100, 104, 104, 104] and growth(level, "private_mib") == pytest.approx(0.04)
    assert by_part(slope, "private_mib") == pytest.approx([100.45, 101.45, 102.45, 103.45])
    assert by_part(outcome(samples=samples[:2]), "private_mib") == [100] * 4  # a short run


def test_a_calm_run_has_no_problem():
    assert verdict(outcome(), [], 3.0) == []


@pytest.mark.parametrize(
    ("changes", "left", "problem"),
    [
        ({"gaps": [(0.0, 3.5)]}, [], "a gap of 3.5 s"),
        ({"gaps": [(0.0, 3.5)], "excused": [(9.0, 12.0)]}, [], "a gap of 3.5 s"),
        ({"samples": growing("private_mib", 1.0)}, [], "private_mib grew"),
        ({"samples": growing("fds", 1.0)}, [], "fds grew"),
        ({"samples": growing("shm_mib", 0.1)}, [], "shm_mib grew"),
        ({"samples": growing("shm_pieces", 0.1)}, [], "shm_pieces grew"),
        ({}, ["process 7"], "left behind: process 7"),
    ],
)
def test_what_went_wrong_is_named(changes, left, problem):
    (found,) = verdict(outcome(**changes), left, 3.0)
    assert problem in found


def test_a_gap_while_everything_was_stopped_is_excused():
    assert verdict(outcome(gaps=[(8.0, 12.0)], excused=[(8.5, 14.0)]), [], 3.0) == []


def test_a_gap_is_felt_where_it_comes_soon_behind_a_fault():
    seen = outcome(gaps=[(0.0, 0.1), (4.0, 5.5), (30.0, 32.0)], faults=[(3.0, "a"), (20.0, "a"), (29.0, "b")])
    assert felt_s(seen, "a") == [1.5, 0.0] and felt_s(seen, "b") == [2.0]


def test_every_fault_can_be_asked_for_by_name_and_no_other():
    options = chaos.parse_options(["--faults", ",".join(FAULTS)])
    assert chaos.chosen(options) == list(FAULTS)
    assert chaos.chosen(chaos.parse_options(["--faults", "none"])) == []
    assert "lose-packets" not in chaos.chosen(chaos.parse_options([]))
    assert "lose-packets" in chaos.chosen(chaos.parse_options(["--source", "udp"]))
    with pytest.raises(EgostreamError, match="there is no such fault"):
        chaos.chosen(chaos.parse_options(["--faults", "earthquake"]))


def test_what_the_sender_sends_is_the_sample_picture_by_picture(tmp_path):
    pieces = encoded_pictures()
    assert abs(len(pieces) - PICTURES) <= 1 and all(len(piece) % 188 == 0 for piece in pieces) and PAYLOAD % 188 == 0
    (tmp_path / "x.ts").write_bytes(b"".join(pieces))
    with av.open(str(tmp_path / "x.ts")) as container:
        assert sum(1 for _ in container.decode(video=0)) == PICTURES
