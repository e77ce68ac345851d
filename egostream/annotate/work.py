"""Several recordings at once: processes that each hold their own engines, and annotate one recording after another."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import cv2
import msgspec
import psutil

from egostream.annotate.one import Report, annotate
from egostream.annotate.places import sweep
from egostream.annotate.plan import Job
from egostream.capture.quiet import silence_libraries
from egostream.engine.backends import GPU_BACKENDS
from egostream.errors import EgostreamError
from egostream.redact import without_password
from egostream.run_setup import RunSetup
from egostream.supervise.processes import log_failure
from egostream.supervise.signals import terminal_signals_blocked
from egostream.track.in_process import InProcessStream

#: Memory that one process takes at most, bytes: 0.35 GB with the shipped weights in int8, more in fp32.
PROCESS_BYTES = 1_000_000_000
#: Recordings at once on a GPU: while one is opened and closed, the other keeps it busy.
ON_GPU = 2
#: Seconds that a process has to take its half-made files away.
ENDING_S = 5.0


@dataclass(frozen=True)
class Progress:
    """How far a recording is."""

    job: Job
    fraction: float  # 0..1
    poses: int


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    text: str


#: What the processes tell: progress, notes, and in the end a report of every recording.
Event = Progress | Note | tuple[Job, Report]


def choose_jobs(setup: RunSetup, wanted: int, recordings: int) -> int:
    """How many recordings to annotate at once. wanted: 0: as many as the machine has cores and memory for."""
    if wanted:
        return max(1, min(wanted, recordings))
    most = ON_GPU if setup.backend in GPU_BACKENDS else usable_cores()
    fitting = psutil.virtual_memory().available // PROCESS_BYTES
    return max(1, min(most, fitting, recordings))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_out(setup: RunSetup, count: int) -> RunSetup:
    """The run as each of ``count`` processes has it: the cores are shared out, unless ``--threads`` says otherwise.

    How many threads compute a pose does not change it.
    """
    if setup.config.threads or setup.backend in GPU_BACKENDS:
        return setup
    config = msgspec.structs.replace(setup.config, threads=max(1, usable_cores() // count))
    return replace(setup, config=config)


class Process:
    """A process that annotates what it is handed, and this end of its pipe."""

    def __init__(self, setup: RunSetup):
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process: BaseProcess = context.Process(target=enter, args=(setup, there), name="annotate", daemon=True)
        with terminal_signals_blocked():  # Ctrl-C is ours: we end the others
            self.process.start()
        there.close()
        self.job: Job | None = None

    def give(self, job: Job | None) -> None:
        """Hand the next recording over; None: there is no more."""
        self.job = job
        with contextlib.suppress(OSError):  # it has died: that is seen where it is waited for
            self.pipe.send(job)

    def died(self) -> Report:
        """The report of the recording that it died over. Its half-made files are taken away."""
        assert self.job is not None
        self.process.join(ENDING_S)
        sweep(self.job.places, self.process.pid or 0)
        code = self.process.exitcode or 0
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        return Report(
            without_password(self.job.source),
            error=f"{without_password(self.job.source)}: the process that annotated it ended {how}. Where memory is "
            "short, do fewer at once: --jobs 1",
        )

    def end(self) -> None:
        """Stop it. It takes its half-made files away."""
        self.process.terminate()
        self.process.join(ENDING_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self.job is not None:
            sweep(self.job.places, self.process.pid or 0)
        self.pipe.close()


def work_through(setup: RunSetup, jobs: Sequence[Job], count: int) -> Generator[Event]:
    """Annotate recordings, ``count`` at once. Yields what happens; the report of every recording is among it.

    A file that cannot be written ends all, since the others could not be written either: the reports of those that
    were not begun are missing then. Raises EgostreamError where no process can begin.
    """
    setup, left = shared_out(setup, count), deque(jobs)
    processes: list[Process] = []
    try:
        while left and len(processes) < count:
            processes.append(begun(setup, left))
        while processes:
            for pipe in wait([one.pipe for one in processes]):
                one = next(one for one in processes if one.pipe is pipe)
                for event in heard(one):
                    yield event
                    if isinstance(event, tuple):
                        processes.remove(one)
                        if event[1].is_fatal:
                            one.end()
                            return
                        processes += next_turn(one, setup, left)
    finally:
        for one in processes:
            one.end()


def begun(setup: RunSetup, left: deque[Job]) -> Process:
    """A new process with its first recording."""
    one = Process(setup)
    one.give(left.popleft())
    return one


def next_turn(one: Process, setup: RunSetup, left: deque[Job]) -> list[Process]:
    """Who annotates the next recording: the process that has just ended one, or another where it died; nobody where
    none is left.
    """
    if left and one.process.is_alive():
        one.give(left.popleft())
        return [one]
    one.give(None)
    one.process.join(ENDING_S)
    one.job = None
    one.end()
    return [begun(setup, left)] if left else []


def heard(one: Process) -> Iterator[Event]:
    """What a process says next, or that it died. Raises EgostreamError where it could not begin."""
    try:
        said = one.pipe.recv()
    except (EOFError, OSError):
        assert one.job is not None
        yield one.job, one.died()
        return
    match said:
        case EgostreamError() as error:
            raise error
        case Report() as report:
            assert one.job is not None
            yield one.job, report
        case (float() as fraction, int() as poses):
            assert one.job is not None
            yield Progress(one.job, fraction, poses)
        case str() as text:
            yield Note(text)


def enter(setup: RunSetup, pipe: Connection) -> None:
    """Entry point of a process: annotate recordings until there is none, or until the parent is gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # unwinds, which takes half-made files away
    cv2.setNumThreads(1)  # the network needs the cores
    silence_libraries()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        annotate_handed(setup, pipe)


def annotate_handed(setup: RunSetup, pipe: Connection) -> None:
    """Load the engines, then annotate each recording that comes through the pipe, and say what came of it."""
    try:
        stream = InProcessStream(setup, pipe.send)
    except EgostreamError as error:
        pipe.send(EgostreamError(str(error)))
        return
    while (job := pipe.recv()) is not None:
        try:
            report = annotate(stream, job, lambda fraction, poses: pipe.send((fraction, poses)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            text = (
                f"{without_password(job.source)}: {type(error).__name__}: {error} (details: {log_failure('annotate')})"
            )
            report = Report(without_password(job.source), error=text)
        pipe.send(report)
