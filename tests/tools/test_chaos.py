"""Faults in random order, for half a minute; and a verdict that can be a bad one."""

from __future__ import annotations

import json
import sys

import pytest

from tools import chaos
from tools.chaos import Outcome, verdict

SEED = 12  # among its first six faults: deaf subscribers, floods, a suspension, a kill


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm and /proc")
def test_half_a_minute_of_faults_breaks_nothing(capsys):
    chaos.main(["--seconds", "30", "--seed", str(SEED), "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["problems"] == [] and figures["faults"] >= 4 and figures["poses"] > 100


def outcome(**changes) -> Outcome:
    """A run without a fault: poses for ten seconds, no growth."""
    calm = {"rss_mib": 100.0, "fds": 30.0, "threads": 5.0}
    gaps = [(n / 30, (n + 1) / 30) for n in range(300)]
    return Outcome(**{"poses": 300, "gaps": gaps, "samples": [dict(calm) for _ in range(20)]} | changes)


def test_a_calm_run_has_no_problem():
    assert verdict(outcome(), [], 3.0) == []


@pytest.mark.parametrize(
    ("changes", "left", "problem"),
    [
        ({"gaps": [(0.0, 3.5)]}, [], "a gap of 3.5 s"),
        ({"gaps": [(0.0, 3.5)], "excused": [(9.0, 12.0)]}, [], "a gap of 3.5 s"),
        ({"samples": [{"rss_mib": 100.0 + n, "fds": 1, "threads": 1} for n in range(40)]}, [], "rss_mib of the"),
        ({"samples": [{"rss_mib": 1, "fds": 10.0 + n, "threads": 1} for n in range(40)]}, [], "fds of the"),
        ({}, ["process 7"], "left behind: process 7"),
    ],
)
def test_what_went_wrong_is_named(changes, left, problem):
    (found,) = verdict(outcome(**changes), left, 3.0)
    assert problem in found


def test_a_gap_while_everything_was_stopped_is_excused():
    assert verdict(outcome(gaps=[(8.0, 12.0)], excused=[(8.5, 14.0)]), [], 3.0) == []
