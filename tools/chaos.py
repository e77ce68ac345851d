#!/usr/bin/env python
"""Breaks a running pipeline in random order for a given time, and counts what that does to the poses.

    python tools/chaos.py --seconds 120 --seed 7
    python tools/chaos.py --seconds 120 --source udp          # a network camera, whose packets are lost
    python tools/chaos.py --seconds 3600 --faults none        # a soak: nothing is broken

The faults: killed and stopped processes, a suspended machine, silent connections, floods of subscriptions and of
control requests, subscribers that never read or die, a wall clock that is set, disks that are full or slow, shared
memory that is full, lost packets, an error stream that nobody reads. A seed gives the same faults in the same order.
``slowdown`` tells how busy the machine was with other work: 3 says that all took three times as long as it should.
Exit status 1: a gap between poses was longer than --gap where not everything was stopped, the run grew, or something
was left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber
from egostream.publish.connections import raise_file_limit
from tools.breaking.faults import DEAF, FAULTS, Outcome
from tools.breaking.sender import LossySender
from tools.breaking.subject import Subject, free_port
from tools.breaking.world import World
from tools.entry import run_tool

CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
#: Pauses between faults, seconds: from while the last one is still felt to when all is calm again.
PAUSES_S = 0.5, 6.0
SAMPLE_S, WORK_S = 0.5, 0.02
FIRST_POSE_S = 180.0  # engines may have to be compiled first
PARTS = 4  # of the samples, in order; the first and the last are compared
#: What must not grow: measures of the supervisor, and of the run's shared memory.
MEASURES = "private_mib", "fds", "threads", "shm_mib", "shm_pieces"
#: Between poses of a camera that fails, so long is looked for a gap behind a fault, seconds.
FELT_S = 5.0


def longest_gap_s(outcome: Outcome) -> float:
    """The longest pause between two poses that no stop of every process explains."""
    return max((end - begin for begin, end in outcome.gaps if not is_excused(outcome, begin, end)), default=0.0)


def is_excused(outcome: Outcome, begin: float, end: float) -> bool:
    """Whether everything was stopped at some time of a gap."""
    return any(a < end and begin < b for a, b in outcome.excused)


def felt_s(outcome: Outcome, fault: str) -> list[float]:
    """The longest gap behind each fault of a kind, seconds. What else was broken meanwhile is felt there, too."""
    return [
        max((end - begin for begin, end in outcome.gaps if begin < t + FELT_S and end > t), default=0.0)
        for t, name in outcome.faults
        if name == fault
    ]


def slowdown() -> float:
    """How much longer a piece of work takes than the processor needs for it: 1 on an idle machine."""
    begun_s, own_s = time.monotonic(), time.thread_time()
    while time.thread_time() - own_s < WORK_S:
        pass
    return (time.monotonic() - begun_s) / WORK_S


def growth(outcome: Outcome, key: str) -> float:
    """By which share a measure grew, from the first to the last part of the samples."""
    before, *_, after = by_part(outcome, key)
    return after / before - 1 if before else float(after > 0)


def by_part(outcome: Outcome, key: str) -> list[float]:
    """Medians of a measure over each of PARTS parts of the samples: a level that is reached, or a slope."""
    values = [sample[key] for sample in outcome.samples]
    parts = np.array_split(np.array(values), PARTS) if len(values) >= PARTS else [values] * PARTS
    return [float(np.median(part)) for part in parts]


def watch_poses(subject: Subject, outcome: Outcome, is_over: threading.Event, has_first: threading.Event) -> None:
    """Count poses and note the pauses between them, until told to stop."""
    with PoseSubscriber(subject.endpoint) as poses:
        last: float | None = None
        while not is_over.is_set():
            try:
                pose = poses.newest(0.2)
            except EgostreamError:
                continue  # half a message, of a process that was just killed
            now = time.monotonic()
            if pose is not None:
                outcome.poses += 1
                if last is not None:
                    outcome.gaps.append((last, now))
                last = now
                has_first.set()
        if last is not None:
            outcome.gaps.append((last, time.monotonic()))


def faults_until(
    end: float, subject: Subject, names: list[str], chance: random.Random, outcome: Outcome
) -> Iterator[str]:
    """Inject faults until then; yields the name of each before it happens."""
    while time.monotonic() < end:
        if names:
            name = chance.choice(names)
            outcome.faults.append((time.monotonic(), name))
            yield name
            FAULTS[name](subject, chance, outcome)
        pause = time.monotonic() + chance.uniform(*PAUSES_S)
        while time.monotonic() < min(pause, end):
            outcome.samples.append({**subject.sample(), "slowdown": slowdown()})
            time.sleep(SAMPLE_S)


def chaos(options: argparse.Namespace) -> tuple[Outcome, list[str]]:
    """Break a run for so long. Returns what was seen, and what was left behind."""
    chance, outcome = random.Random(options.seed), Outcome()
    is_over, has_first = threading.Event(), threading.Event()
    names = chosen(options)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="egostream-chaos-")))
        sender = LossySender(free_port(), options.seed) if options.source == "udp" else None
        if sender is not None:
            stack.callback(sender.close)
        subject = Subject(folder, options.fps, sender, world_for(names, folder))
        watcher = threading.Thread(target=watch_poses, args=(subject, outcome, is_over, has_first))
        watcher.start()
        try:
            wait_first(subject, has_first)
            begun = time.monotonic()
            for name in faults_until(begun + options.seconds, subject, names, chance, outcome):
                CONSOLE.print(f"{time.monotonic() - begun:6.1f} s  {name.replace('-', ' ')}", markup=False)
            time.sleep(options.settle)  # what was broken last comes back, too
        finally:
            is_over.set()
            watcher.join()
            for deaf in DEAF:
                deaf.close()
            DEAF.clear()
            left = subject.end()
    return outcome, left


def wait_first(subject: Subject, has_first: threading.Event) -> None:
    """Wait until the run's first pose is out. Raises EgostreamError where it ends before, or takes too long."""
    deadline = time.monotonic() + FIRST_POSE_S
    while not has_first.wait(SAMPLE_S):
        if subject.process.poll() is not None or time.monotonic() > deadline:
            raise EgostreamError(f"no pose within {FIRST_POSE_S:g} s. Does it run here? egostream doctor")


def chosen(options: argparse.Namespace) -> list[str]:
    """The faults that were asked for. Raises EgostreamError for one that is none."""
    if options.faults == "none":
        return []
    all_names = [name for name in FAULTS if name != "lose-packets" or options.source == "udp"]
    names = options.faults.split(",") if options.faults else all_names
    if unknown := [name for name in names if name not in FAULTS]:
        raise EgostreamError(f"--faults {unknown[0]}: there is no such fault; known: {', '.join(FAULTS)}, none")
    return names


def world_for(names: list[str], folder: Path) -> World | None:
    """What breaks the run's clock, disks and memory, where it can be made; a line says where it cannot."""
    if not names:
        return None
    try:
        return World(folder)
    except EgostreamError as error:
        CONSOLE.print(f"not broken here: {error}", markup=False)
        return None


def verdict(outcome: Outcome, left: list[str], most_gap_s: float, most_growth: float = 0.05) -> list[str]:
    """What went wrong, in words; none where nothing did."""
    problems = [f"left behind: {one}" for one in left]
    if (gap := longest_gap_s(outcome)) > most_gap_s:
        problems.append(f"a gap of {gap:.1f} s between poses, {most_gap_s:g} are allowed")
    for key in MEASURES:
        if (grown := growth(outcome, key)) > most_growth:
            problems.append(f"{key} grew by {grown:.1%}")
    return problems


def figures(options: argparse.Namespace, outcome: Outcome, left: list[str], problems: list[str]) -> dict[str, Any]:
    """What was seen, for programs."""
    kinds = sorted({name for _, name in outcome.faults})
    felt = {name: felt_s(outcome, name) for name in kinds if name != "suspend-all"}
    kills = felt.get("kill-worker", [])
    return {
        "seconds": options.seconds,
        "seed": options.seed,
        "source": options.source,
        "cores": os.cpu_count(),
        "slowdown": {
            f"p{q}": round(float(np.percentile([one["slowdown"] for one in outcome.samples], q)), 1) for q in (50, 99)
        },
        "faults": len(outcome.faults),
        "poses": outcome.poses,
        "longest_gap_s": round(longest_gap_s(outcome), 2),
        "recovery_s": {
            f"p{q}": round(float(np.percentile(kills, q)), 2) for q in (50, 99, 100) if kills
        },  # of killed processes
        "felt_s": {name: round(max(values), 2) for name, values in felt.items()},
        "growth": {key: round(growth(outcome, key), 4) for key in (*MEASURES, "workers_mib")},
        "private_mib": [round(value, 1) for value in by_part(outcome, "private_mib")],
        "left_behind": left,
        "problems": problems,
    }


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults are injected (120)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and their order (0)")
    parser.add_argument("--fps", type=float, default=0.0, help="rate of the sample; 0: its own, 30")
    parser.add_argument("--source", choices=("sample", "udp"), default="sample", help="sample, or a camera by UDP")
    parser.add_argument("--faults", default="", help="those alone, with commas between them; none: a soak (all)")
    parser.add_argument("--gap", type=float, default=3.0, help="longest gap between poses that is allowed, seconds (3)")
    parser.add_argument("--growth", type=float, default=0.05, help="share that the run may grow by (0.05)")
    parser.add_argument("--settle", type=float, default=5.0, help="calm at the end, seconds (5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    raise_file_limit()  # a thousand connections are this program's, too
    outcome, left = chaos(options)
    problems = verdict(outcome, left, options.gap, options.growth)
    seen = figures(options, outcome, left, problems)
    if options.json:
        print(json.dumps(seen, indent=2))
    else:
        CONSOLE.print(
            f"{seen['faults']} faults, {seen['poses']} poses, longest gap {seen['longest_gap_s']} s, "
            f"supervisor's memory {seen['growth']['private_mib']:+.1%}: {'; '.join(problems) or 'nothing broke'}"
        )
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    run_tool(main)
