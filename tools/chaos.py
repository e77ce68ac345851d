#!/usr/bin/env python
"""Breaks a running pipeline in random order for a given time, and counts what that does to the poses.

    python tools/chaos.py --seconds 120 --seed 7

The faults: killed and stopped processes, a suspended machine, silent connections, floods of subscriptions and of
control requests, subscribers that never read, an error stream that nobody reads. A seed gives the same faults in the
same order. Exit status 1: a gap between poses was longer than --gap where not everything was stopped, the supervisor
grew, or something was left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import zmq
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.errors import EgostreamError
from egostream.handover.record import PREFIX
from egostream.publish.client import PoseSubscriber
from egostream.publish.control import request
from tools.entry import run_tool

CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
#: Pauses between faults, seconds: from while the last one is still felt to when all is calm again.
PAUSES_S = 0.5, 6.0
#: A process is stopped for so long, seconds: less than the supervisor waits before it takes it for hung.
STOPPED_S = 0.5, 2.0
SUSPENDED_S = 3.0
SILENT_CONNECTIONS = 500
REQUESTS = 200
MOST_DEAF = 20
#: First and last share of the samples that are compared, and by how much the supervisor may have grown between them.
SHARE, MOST_GROWTH = 0.25, 0.05
FIRST_POSE_S = 180.0  # engines may have to be compiled first

FLOOD = """
import sys, zmq
socket = zmq.Context().socket(zmq.XSUB)
socket.sndhwm = 0
socket.connect(sys.argv[1])
for n in range(50_000):
    socket.send(b"\\1topic %d" % n)
"""


@dataclass
class Outcome:
    """What was seen of the poses and of the run's processes."""

    poses: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)  # when a pause between poses began and ended
    faults: list[tuple[float, str]] = field(default_factory=list)
    excused: list[tuple[float, float]] = field(default_factory=list)  # when every process was stopped, and long after
    samples: list[dict[str, float]] = field(default_factory=list)

    def longest_gap_s(self) -> float:
        """The longest pause between two poses that no stop of every process explains."""
        return max(
            (end - begin for begin, end in self.gaps if not any(a < end and begin < b for a, b in self.excused)),
            default=0.0,
        )

    def growth(self, key: str) -> float:
        """By which share a measure of the supervisor grew, from the first to the last quarter of the samples."""
        values = [sample[key] for sample in self.samples]
        count = max(1, int(len(values) * SHARE))
        before, after = (sorted(part)[len(part) // 2] for part in (values[:count], values[-count:]))
        return after / before - 1


class Subject:
    """A run of the sample in a loop, its error stream a pipe that nobody reads."""

    def __init__(self, folder: Path, fps: float):
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.control = f"ipc://{folder}/control"
        self.shared = shared_names()
        command = ["run", "--publish", self.endpoint, "--control", self.control]
        self.process = psutil.Popen(
            [sys.executable, "-m", "egostream", *command, *(["--fps", str(fps)] if fps else [])],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[1],
        )

    def workers(self) -> list[psutil.Process]:
        """The capture and inference processes that are alive."""
        with contextlib.suppress(psutil.Error):
            return [one for one in self.process.children() if "spawn_main" in " ".join(one.cmdline())]
        return []

    def everyone(self) -> list[psutil.Process]:
        """All processes of the run, the supervisor first."""
        return [psutil.Process(self.process.pid), *self.workers()]

    def sample(self) -> dict[str, float]:
        """The supervisor's memory, descriptors and threads."""
        with self.process.oneshot():
            rss = self.process.memory_info().rss / 2**20
            return {"rss_mib": rss, "fds": self.process.num_fds(), "threads": self.process.num_threads()}

    def end(self) -> list[str]:
        """Stop the run in order. Returns what it left behind, in words."""
        children = self.workers()
        self.process.send_signal(signal.SIGINT)
        left = []
        try:
            if self.process.wait(15) != 0:
                left.append(f"exit status {self.process.returncode}")
        except psutil.TimeoutExpired:
            self.process.kill()
            left.append("the run did not end within 15 s")
        gone, alive = psutil.wait_procs(children, timeout=3)
        left += [f"process {one.pid}" for one in alive]
        return left + [f"shared memory {name}" for name in sorted(shared_names() - self.shared) if is_ours(name)]


def free_port() -> int:
    """A TCP port of this machine that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shared_names() -> set[str]:
    """Shared memory of runs on this machine."""
    with contextlib.suppress(OSError):
        return {name for name in os.listdir("/dev/shm") if name.startswith(PREFIX)}
    return set()


def is_ours(name: str) -> bool:
    """Whether a piece of shared memory belongs to nobody that lives: another program's may have come meanwhile."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(name in one.path for one in process.memory_maps()):
                return False
    return True


# -- faults ------------------------------------------------------------------------------------------------------------

Fault = Callable[[Subject, random.Random, Outcome], None]
DEAF: list[zmq.Socket] = []


def kill_worker(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Kill the capture or the inference process."""
    if workers := subject.workers():
        chance.choice(workers).kill()


def stop_worker(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Stop a process for a while, as a debugger or a driver does."""
    if workers := subject.workers():
        suspended([chance.choice(workers)], chance.uniform(*STOPPED_S))


def suspend_all(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Suspend every process for a while, as a laptop's lid does."""
    begin = time.monotonic()
    suspended(subject.everyone(), SUSPENDED_S)
    outcome.excused.append((begin, time.monotonic() + SUSPENDED_S))


def suspended(processes: list[psutil.Process], seconds: float) -> None:
    """Stop processes for so long."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.suspend()
    time.sleep(seconds)
    for process in reversed(processes):
        with contextlib.suppress(psutil.Error):
            process.resume()


def connect_silently(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Open many connections that say nothing."""
    address, port = subject.endpoint.removeprefix("tcp://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(SILENT_CONNECTIONS):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection((address, int(port)), timeout=1))
        time.sleep(1)


def flood_subscriptions(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Subscribe to very many topics, for two seconds."""
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, subject.endpoint])
    time.sleep(2)
    flood.kill()
    flood.wait()


def flood_control(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Send requests that are none, and wait for no answer."""
    with zmq.Context() as context:
        for _ in range(REQUESTS):
            with context.socket(zmq.REQ) as asker:
                asker.linger = 0
                asker.connect(subject.control)
                asker.send(chance.randbytes(chance.randrange(1, 300)))


def subscribe_deaf(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Subscribe and never read."""
    if len(DEAF) < MOST_DEAF:
        deaf: zmq.Socket = zmq.Context.instance().socket(zmq.SUB)
        deaf.linger, deaf.rcvhwm = 0, 1
        deaf.subscribe(b"")
        deaf.connect(subject.endpoint)
        DEAF.append(deaf)


def reset_window(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Ask the run to forget the past."""
    with contextlib.suppress(EgostreamError):  # the supervisor may be busy starting a child
        request(subject.control, {"cmd": "reset"})


FAULTS: tuple[Fault, ...] = (
    kill_worker,
    stop_worker,
    suspend_all,
    connect_silently,
    flood_subscriptions,
    flood_control,
    subscribe_deaf,
    reset_window,
)


# -- the run -----------------------------------------------------------------------------------------------------------


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


def faults_until(end: float, subject: Subject, chance: random.Random, outcome: Outcome) -> Iterator[str]:
    """Inject faults until then; yields the name of each before it happens."""
    while time.monotonic() < end:
        fault = chance.choice(FAULTS)
        outcome.faults.append((time.monotonic(), fault.__name__))
        yield fault.__name__.replace("_", " ")
        fault(subject, chance, outcome)
        pause = time.monotonic() + chance.uniform(*PAUSES_S)
        while time.monotonic() < min(pause, end):
            outcome.samples.append(subject.sample())
            time.sleep(0.5)


def chaos(seconds: float, seed: int, fps: float, settle_s: float) -> tuple[Outcome, list[str]]:
    """Break a run for so long. Returns what was seen, and what was left behind."""
    chance, outcome = random.Random(seed), Outcome()
    is_over, has_first = threading.Event(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="egostream-chaos-") as folder:
        subject = Subject(Path(folder), fps)
        watcher = threading.Thread(target=watch_poses, args=(subject, outcome, is_over, has_first))
        watcher.start()
        try:
            if not has_first.wait(FIRST_POSE_S):
                raise EgostreamError(f"no pose within {FIRST_POSE_S:g} s. Does it run here? egostream doctor")
            begun = time.monotonic()
            for name in faults_until(begun + seconds, subject, chance, outcome):
                CONSOLE.print(f"{time.monotonic() - begun:6.1f} s  {name}", markup=False)
            time.sleep(settle_s)  # what was broken last comes back, too
        finally:
            is_over.set()
            watcher.join()
            for deaf in DEAF:
                deaf.close()
            DEAF.clear()
            left = subject.end()
    return outcome, left


def verdict(outcome: Outcome, left: list[str], most_gap_s: float) -> list[str]:
    """What went wrong, in words; none where nothing did."""
    problems = [f"left behind: {one}" for one in left]
    if (gap := outcome.longest_gap_s()) > most_gap_s:
        problems.append(f"a gap of {gap:.1f} s between poses, {most_gap_s:g} are allowed")
    for key in ("rss_mib", "fds", "threads"):
        if (growth := outcome.growth(key)) > MOST_GROWTH:
            problems.append(f"{key} of the supervisor grew by {growth:.1%}")
    return problems


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long faults are injected (120)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and their order (0)")
    parser.add_argument("--fps", type=float, default=0.0, help="rate of the sample; 0: its own, 30")
    parser.add_argument("--gap", type=float, default=3.0, help="longest gap between poses that is allowed, seconds (3)")
    parser.add_argument("--settle", type=float, default=5.0, help="calm at the end, seconds (5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    outcome, left = chaos(options.seconds, options.seed, options.fps, options.settle)
    problems = verdict(outcome, left, options.gap)
    figures = {
        "seconds": options.seconds,
        "seed": options.seed,
        "faults": len(outcome.faults),
        "poses": outcome.poses,
        "longest_gap_s": round(outcome.longest_gap_s(), 2),
        "growth": {key: round(outcome.growth(key), 4) for key in ("rss_mib", "fds", "threads")},
        "left_behind": left,
        "problems": problems,
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        CONSOLE.print(
            f"{figures['faults']} faults, {figures['poses']} poses, longest gap {figures['longest_gap_s']} s, "
            f"supervisor's memory {figures['growth']['rss_mib']:+.1%}: {'; '.join(problems) or 'nothing broke'}"
        )
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    run_tool(main)
