"""A process that tries inputs of one target until its time is over. Its memory is bounded, and it may die: its parent
sees on the tape which input that was.

    python -m tools.fuzzing.child '{"target": "config", ...}'
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tools.fuzzing.findings import keep, kind_of, shortened
from tools.fuzzing.tape import Tape

#: An input may take so long, seconds: the slowest that is read whole takes 5 s on a busy machine.
SLOWEST_S = 20
#: Libraries whose branches steer Atheris, beside the program itself.
STEERING = ("egostream", "mcap", "pythonosc", "yaml", "tomllib")


class Slow(BaseException):
    """An input took too long. No target catches it."""


class Order(NamedTuple):
    """What a child is to do."""

    module: str  # where TARGETS, drawn and judge are
    target: str
    tape: str
    findings: str
    scratch: str
    seed: int
    first: int  # number of the first input
    inputs: int  # how many at most
    seconds: float
    memory_mib: int
    engine: str  # mutators or atheris


class Trial:
    """Tries inputs of a target, and keeps the first of each kind of failure."""

    def __init__(self, order: Order, targets: Any):
        self.order, self.judge, self.target = order, targets.judge, targets.TARGETS[order.target]
        self.tape, self.scratch = Tape(Path(order.tape)), Path(order.scratch)
        self.kinds: set[str] = set()
        self.before_kb = peak_kb()

    def fails(self, data: bytes) -> BaseException | None:
        """Why an input is a finding; None when it is none."""
        try:
            with alarm():
                self.judge(self.target, data, self.scratch)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return error
        return None

    def one(self, data: bytes) -> None:
        """Try an input."""
        self.tape.begin(data)
        error = self.fails(data)
        is_new = error is not None and (kind := kind_of(error)) not in self.kinds
        if error is not None and is_new:
            self.kinds.add(kind)
            details = "".join(traceback.format_exception(error)[-30:])
            if not isinstance(error, Slow):
                data = shortened(data, lambda less: (other := self.fails(less)) is not None and kind_of(other) == kind)
            keep(Path(self.order.findings), self.order.target, data, kind, details)
        self.tape.end((peak_kb() - self.before_kb) << 10, is_new)

    def by_mutators(self, draw: Callable[[Any, random.Random], bytes]) -> None:
        """Try inputs that a seed and their number tell."""
        end_s = time.monotonic() + self.order.seconds
        for number in range(self.order.first, self.order.first + self.order.inputs):
            self.one(draw(self.target, random.Random(f"{self.order.target}:{self.order.seed}:{number}")))
            if time.monotonic() > end_s:
                return

    def by_atheris(self, atheris: Any) -> None:
        """Try inputs that new branches of the program lead to; half of them damaged as the target's own are."""

        def damaged(data: bytes, most: int, seed: int) -> bytes:
            rng = random.Random(seed)
            try:
                return self.target.damage(data, rng)[:most] if rng.random() < 0.5 else atheris.Mutate(data, most)
            except Exception:  # it is no longer what the target's damage knows how to read
                return atheris.Mutate(data, most)

        corpus = self.scratch / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(self.target.seeds()):
            (corpus / str(number)).write_bytes(seed)
        longest = 2 * max(map(len, self.target.seeds())) + 1000
        order = self.order
        limits = [f"-max_total_time={max(1, round(order.seconds))}", f"-runs={order.inputs}", f"-max_len={longest}"]
        options = [*limits, f"-seed={order.seed + order.first + 1}", "-rss_limit_mb=0", "-timeout=0", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], self.one, custom_mutator=damaged)
        atheris.Fuzz()


@contextmanager
def alarm() -> Iterator[None]:
    """Context that raises Slow where Python code runs on for too long; the parent ends what is not Python's."""

    def stop(signum: int, frame: object) -> None:
        raise Slow(f"an input took longer than {SLOWEST_S} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SLOWEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def peak_kb() -> int:
    """This process's largest size so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bound_memory(mib: int) -> None:
    """Let this process take so much more address space than it has now, and no more."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (mib << 20), resource.getrlimit(resource.RLIMIT_AS)[1]))


def warm_up(trial: Trial) -> None:
    """Try the seeds first: what they import and keep counts as no growth."""
    for seed in trial.target.seeds():
        trial.fails(seed)
    trial.before_kb = peak_kb()
    bound_memory(trial.order.memory_mib)


def main() -> None:
    """Try inputs as the order on the command line says."""
    order = Order(**json.loads(sys.argv[1]))
    if order.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=list(STEERING)):
            targets = importlib.import_module(order.module)
            warm_up(trial := Trial(order, targets))
        trial.by_atheris(atheris)
        return
    targets = importlib.import_module(order.module)
    warm_up(trial := Trial(order, targets))
    trial.by_mutators(targets.drawn)


if __name__ == "__main__":
    os.nice(5)
    main()
