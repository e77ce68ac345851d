"""The table of processes, and the entries of a child: how it begins and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.synchronize import Semaphore
from typing import Any

from egostream.errors import EgostreamError, GpuUnusable
from egostream.files import log_failure
from egostream.handover.board import CompanionBoard, RunBoard
from egostream.handover.companion import Companion
from egostream.handover.worker import Handles, StreamLink, Worker

#: Exit status of a worker whose problem only the user can mend: it is not restarted.
USER_ERROR = 3
#: Exit status of an inference process whose GPU cannot be used: the run goes on without it.
GPU_UNUSABLE = 4


@dataclass(frozen=True)
class ProcessSpec:
    """A kind of process."""

    name: str
    target: str  # module:function, imported in the child only
    stale_s: float  # without a heartbeat for this long it counts as hung
    start_s: float  # and for this long while it starts
    most_restarts: int = 8  # in a row: 16 s of pauses, after which trying again is hopeless


@dataclass(frozen=True)
class CompanionSpec:
    """A client of the run that is started and ended with it, such as its page. The run goes on when it dies."""

    name: str  # for people, such as "view"
    target: str  # module:function, imported in the child only, which calls function(setup, companion)
    setup: Any = None  # whatever the function takes, as long as it can be pickled


#: One inference process for all streams, and a capture process for each. A camera's first frame may take ten
#: seconds, without a beat; an engine may take long to load on a slow disk.
CAPTURE = ProcessSpec("capture", "egostream.capture.main:run", stale_s=12.0, start_s=30.0)
INFER = ProcessSpec("infer", "egostream.infer.main:run", stale_s=5.0, start_s=120.0)
#: Every companion. It does not beat: a recorder that waits for a slow disk does no harm to the run.
COMPANION = ProcessSpec("companion", "", stale_s=float("inf"), start_s=float("inf"), most_restarts=3)


def enter(
    spec: ProcessSpec, setup: Any, run_board: str, handles: list[Handles], ready: Semaphore, stream: int | None
) -> None:
    """Entry point of a child. Every failure ends as one line on the board, never as a traceback on the terminal.

    setup: what the process's ``run`` takes. run_board, handles: names of shared memory. stream: number of a capture
    process's stream, None for inference.
    """
    links = [StreamLink.attach(*one) for one in handles]
    worker = Worker(spec.name, RunBoard(run_board), links, ready, stream)
    try:
        worker.should_stop()
        work = lambda: load(spec.target)(setup, worker)
        status = attempt(work, spec.name, lambda reason: worker.board.say(f"{spec.name}_fatal", reason))
    finally:
        for link in links:
            link.close()
        worker.run_board.close()
    sys.exit(status)


def enter_companion(spec: CompanionSpec, board: str) -> None:
    """Entry point of a companion. board: name of its shared memory."""
    companion = Companion(CompanionBoard(board))
    try:
        work = lambda: load(spec.target)(spec.setup, companion)
        status = attempt(work, spec.name, lambda reason: companion.board.say("companion_fatal", reason))
    finally:
        companion.board.close()
    sys.exit(status)


def load(target: str) -> Callable[..., None]:
    """A function by its ``module:function``."""
    module, function = target.split(":")
    return getattr(import_module(module), function)


def attempt(work: Callable[[], None], name: str, say: Callable[[str], None]) -> int:
    """Do a child's work and return its exit status. Every failure is said in one line, its traceback goes to a log."""
    try:
        work()
    except EgostreamError as error:
        say(str(error))
        return GPU_UNUSABLE if isinstance(error, GpuUnusable) else USER_ERROR
    except Exception as error:
        say(f"{type(error).__name__}: {error} (details: {log_failure(name)})")
        return 1
    return 0
