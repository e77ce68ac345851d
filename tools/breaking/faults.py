"""The faults, one a function, and what they are noted in."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import zmq

from egostream.errors import EgostreamError
from egostream.publish.control import request
from tools.breaking.subject import Subject

#: A process is stopped for so long, seconds: less than the supervisor waits before it takes it for hung.
STOPPED_S = 0.5, 2.0
SUSPENDED_S = 3.0
SILENT_CONNECTIONS = 1000
REQUESTS = 200
MOST_DEAF = 20
HOUR_S = 3600
DISK_DELAY_MS = 20
BROKEN_S = 2.0  # how long a disk, shared memory or network stays broken

FLOOD = """
import sys, zmq
socket = zmq.Context().socket(zmq.XSUB)
socket.sndhwm = 0
socket.connect(sys.argv[1])
for n in range(50_000):
    socket.send(b"\\1topic %d" % n)
"""
DEAF: list[zmq.Socket] = []


@dataclass
class Outcome:
    """What was seen of the poses and of the run's processes."""

    poses: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)  # when a pause between poses began and ended
    faults: list[tuple[float, str]] = field(default_factory=list)
    excused: list[tuple[float, float]] = field(default_factory=list)  # when every process was stopped, and long after
    samples: list[dict[str, float]] = field(default_factory=list)


Fault = Callable[[Subject, random.Random, Outcome], None]


def kill_worker(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Kill the capture or the inference process, or the metrics'."""
    if workers := subject.workers():
        with contextlib.suppress(psutil.Error):
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
    """Open very many connections that say nothing, to the poses and to the metrics."""
    ports = [int(subject.endpoint.rpartition(":")[2]), subject.metrics]
    with contextlib.ExitStack() as stack:
        for number in range(SILENT_CONNECTIONS):
            with contextlib.suppress(OSError):
                address = ("127.0.0.1", ports[number % 10 == 0])
                stack.enter_context(socket.create_connection(address, timeout=0.2))
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
            with context.socket(chance.choice((zmq.REQ, zmq.DEALER))) as asker:  # one without an envelope
                asker.linger = 0
                asker.connect(subject.control)
                asker.send(chance.randbytes(chance.randrange(1, 300)))


def subscribe_deaf(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Subscribe and never read; the first of many such goes away again."""
    deaf: zmq.Socket = zmq.Context.instance().socket(zmq.SUB)
    deaf.linger, deaf.rcvhwm = 0, 1
    deaf.subscribe(b"")
    deaf.connect(subject.endpoint)
    DEAF.append(deaf)
    if len(DEAF) > MOST_DEAF:
        DEAF.pop(0).close()


def kill_receiver(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Kill a subscriber that reads."""
    code = "import sys, time\nfrom egostream import PoseSubscriber\nwith PoseSubscriber(sys.argv[1]) as poses:\n"
    receiver = subprocess.Popen([sys.executable, "-c", f"{code}    while True: poses.newest(1.0)", subject.endpoint])
    time.sleep(2)
    receiver.send_signal(signal.SIGKILL)
    receiver.wait()


def reset_window(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Ask the run to forget the past."""
    ask(subject, {"cmd": "reset"})


def step_clock(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Set the wall clock by an hour, to and fro."""
    if subject.world is not None:
        subject.world.change(clock_s=chance.choice((-HOUR_S, 0, HOUR_S)))


def fill_disk(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Let no file be written for a while, and kill a process meanwhile, which then cannot write its log."""
    with broken(subject, disk_is_full=1):
        kill_worker(subject, chance, outcome)


def slow_disk(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Let every reading and writing of a file take long for a while."""
    with broken(subject, disk_delay_ms=DISK_DELAY_MS):
        pass


def fill_shared_memory(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Let no more shared memory be had for a while, and ask for the pictures that need some."""
    with broken(subject, memory_is_full=1):
        ask(subject, {"cmd": "pictures", "exact": True})


def lose_packets(subject: Subject, chance: random.Random, outcome: Outcome) -> None:
    """Lose packets of the camera's stream for a while, where the camera is on a network."""
    if subject.sender is not None:
        subject.sender.is_losing = True
        time.sleep(BROKEN_S)
        subject.sender.is_losing = False


@contextlib.contextmanager
def broken(subject: Subject, **values: int):  # type: ignore[no-untyped-def]
    """A world that is broken in a way, and mended after BROKEN_S and what is done in between."""
    if subject.world is None:
        return (yield)
    subject.world.change(**values)
    try:
        yield
        time.sleep(BROKEN_S)
    finally:
        subject.world.change(**dict.fromkeys(values, 0))


def ask(subject: Subject, what: dict) -> None:
    """Ask the run for something; the supervisor may be busy starting a child."""
    with contextlib.suppress(EgostreamError):
        request(subject.control, what)


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (
        kill_worker, stop_worker, suspend_all, connect_silently, flood_subscriptions, flood_control, subscribe_deaf,
        kill_receiver, reset_window, step_clock, fill_disk, slow_disk, fill_shared_memory, lose_packets,
    )
}  # fmt: skip
