"""The run that is broken: its processes, its shared memory, what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from egostream.handover.record import PREFIX
from tools.breaking.sender import LossySender
from tools.breaking.world import World

ROOT = Path(__file__).resolve().parents[2]
SHM = "/dev/shm"
MIB = 1 << 20


class Subject:
    """A run of the sample in a loop, its error stream a pipe that nobody reads.

    sender: the run watches what it sends, instead of the sample. world: what the run's clock, disks and memory are
    broken by; None: they are not.
    """

    def __init__(self, folder: Path, fps: float, sender: LossySender | None, world: World | None):
        self.endpoint, self.metrics = f"tcp://127.0.0.1:{free_port()}", free_port()
        self.control = f"ipc://{folder}/control"
        self.world, self.sender = world, sender
        command = ["run", "--publish", self.endpoint, "--control", self.control]
        command += ["--metrics", f"127.0.0.1:{self.metrics}"]
        if sender is not None:
            command += ["--source", sender.url, "--assume-canonical"]
        elif fps:
            command += ["--fps", str(fps)]
        self.process = psutil.Popen(
            [sys.executable, "-m", "egostream", *command],
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | (world.environment if world is not None else {}),
        )
        self.is_stopping = False

    def workers(self) -> list[psutil.Process]:
        """The capture and inference processes that are alive, and the run's companion."""
        with contextlib.suppress(psutil.Error):
            return [one for one in self.process.children() if "spawn_main" in " ".join(one.cmdline())]
        return []

    def everyone(self) -> list[psutil.Process]:
        """All processes of the run, the supervisor first."""
        return [psutil.Process(self.process.pid), *self.workers()]

    def sample(self) -> dict[str, float]:
        """Memory, descriptors and threads of the supervisor; memory of its children; the run's shared memory."""
        with self.process.oneshot():
            own, files, threads = private_mib(self.process), self.process.num_fds(), self.process.num_threads()
        workers = self.workers()
        total = sum(resident_mib(one) for one in workers)
        names = self.own_shared()
        return {
            "private_mib": own, "fds": files, "threads": threads, "workers": len(workers), "workers_mib": total,
            "shm_mib": sum(allocated_mib(name) for name in names), "shm_pieces": len(names),
        }  # fmt: skip

    def own_shared(self) -> set[str]:
        """Pieces of shared memory that the supervisor has: those of other programs come and go."""
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{self.process.pid}/maps").read_text().splitlines()
            return {os.path.basename(line.split()[-1]) for line in maps if f"{SHM}/{PREFIX}" in line}
        return set()

    def end(self) -> list[str]:
        """Stop the run in order. Returns what it left behind, in words."""
        children, own = self.workers(), self.own_shared()
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
        control = Path(self.control.removeprefix("ipc://"))
        left += [f"socket {control.name}"] if control.exists() else []
        return left + [f"shared memory {name}" for name in sorted(own) if os.path.exists(f"{SHM}/{name}")]


def private_mib(process: psutil.Process) -> float:
    """A process's own memory. Shared pages are none of it: each that it looks at first would seem to be growth."""
    memory = process.memory_info()
    return (memory.rss - memory.shared) / MIB


def resident_mib(process: psutil.Process) -> float:
    """Memory of a process; none of one that has just ended."""
    try:
        return process.memory_info().rss / MIB
    except psutil.Error:
        return 0.0


def allocated_mib(name: str) -> float:
    """Memory that a piece of shared memory takes; none of one that has just gone."""
    try:
        return os.stat(f"{SHM}/{name}").st_blocks * 512 / MIB
    except OSError:
        return 0.0


def free_port() -> int:
    """A TCP port of this machine that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
