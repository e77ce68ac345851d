"""Starts children that try a target's inputs, watches them, and starts the next where one dies or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError
from tools.fuzzing.child import SLOWEST_S, Order
from tools.fuzzing.findings import keep
from tools.fuzzing.tape import Tape, Written

ROOT = Path(__file__).resolve().parents[2]
#: A line is printed at least so often, seconds.
PROGRESS_S = 4.0
POLL_S = 0.2
#: An input that a child is not through with by now, seconds, holds it where Python cannot end it. Busy machines let a
#: child wait for a minute.
STUCK_S = SLOWEST_S + 180.0
#: Imports and seeds take up to so long on a busy machine, seconds.
START_S = 600.0
#: Children that may die before a target is given up.
MOST_DEATHS = 50


@dataclass(frozen=True)
class Wanted:
    """What is to be done for each target."""

    module: str  # where the targets are
    findings: Path
    seed: int
    inputs: int
    seconds: float
    memory_mib: int
    engine: str


@dataclass
class Outcome:
    """What came of one target so far."""

    target: str
    engine: str
    inputs: int = 0
    seconds: float = 0.0
    findings: int = 0
    deaths: int = 0  # of children; each is a finding
    growth_mib: float = 0.0  # of a child's memory, at most

    def text(self) -> str:
        """All of it in a line."""
        return (
            f"{self.target}: {self.inputs} inputs in {self.seconds:.0f} s ({self.engine}), "
            f"{self.findings} findings, memory +{self.growth_mib:.0f} MiB"
        )


class Fuzzing:
    """One target being fuzzed. say: called with a line at least every five seconds."""

    def __init__(self, target: str, wanted: Wanted, say: Callable[[str], None]):
        self.wanted, self.say = wanted, say
        self.outcome = Outcome(target, wanted.engine)
        self.said_s = time.monotonic()

    def run(self) -> Outcome:
        """Try inputs until time or number are reached. Raises EgostreamError where no child comes up."""
        while self.is_due():
            with tempfile.TemporaryDirectory(prefix="egostream-fuzz-") as folder:
                self.one_child(Path(folder))
        self.say(self.outcome.text())
        return self.outcome

    def is_due(self) -> bool:
        """Whether there is more to do."""
        done, wanted = self.outcome, self.wanted
        return done.inputs < wanted.inputs and self.left_s() > 0 and done.deaths < MOST_DEATHS

    def left_s(self) -> float:
        """Seconds that are left."""
        return self.wanted.seconds - self.outcome.seconds

    def one_child(self, folder: Path) -> None:
        """Let a child try inputs until it ends, in whichever way."""
        before = self.outcome.inputs, self.outcome.findings
        tape = Tape(folder / "tape")
        with open(folder / "stderr", "wb") as errors:
            child = subprocess.Popen(
                self.command(folder), cwd=folder, env=environment(folder), stdout=errors, stderr=errors
            )
            try:
                how = self.watch(child, tape, before)
            finally:
                child.kill()
                child.wait()
        self.count(tape.read(), before)
        if how:
            self.died(how, tape.read(), (folder / "stderr").read_text(errors="replace")[-4000:])

    def command(self, folder: Path) -> list[str]:
        """What starts a child for what is left to do."""
        wanted, done = self.wanted, self.outcome
        (folder / "scratch").mkdir()
        order = Order(
            wanted.module, done.target, str(folder / "tape"), str(wanted.findings.absolute()), str(folder / "scratch"),
            wanted.seed, done.inputs, wanted.inputs - done.inputs, self.left_s(), wanted.memory_mib, wanted.engine,
        )  # fmt: skip
        return [sys.executable, "-m", "tools.fuzzing.child", json.dumps(order._asdict())]

    def watch(self, child: subprocess.Popen, tape: Tape, before: tuple[int, int]) -> str:
        """Wait for a child's end. Returns how it came to it; empty where it was through."""
        moved_s, seen = time.monotonic(), tape.read()
        looked_s = moved_s
        while child.poll() is None:
            time.sleep(POLL_S)
            now_s, now = time.monotonic(), tape.read()
            self.count(now, before)
            if now.tried or now.current is not None:  # imports and seeds count as no time
                self.outcome.seconds += now_s - looked_s
            looked_s = now_s
            if now.tried != seen.tried:
                moved_s, seen = now_s, now
            if now_s - self.said_s > PROGRESS_S:
                self.said_s = now_s
                self.say(f"{self.outcome.text()}, {max(0.0, self.left_s()):.0f} s left")
            if now_s - moved_s > (START_S if now.current is None else STUCK_S):
                return f"hung for {now_s - moved_s:.0f} s"
        return f"died with status {child.returncode}" if child.returncode else ""

    def count(self, now: Written, before: tuple[int, int]) -> None:
        """Add what a child did to what others did before it."""
        done = self.outcome
        done.inputs, done.findings = before[0] + now.tried, before[1] + now.findings
        done.growth_mib = max(done.growth_mib, now.growth / 2**20)

    def died(self, how: str, last: Written, errors: str) -> None:
        """Keep the input that ended a child. Raises EgostreamError where it had none yet."""
        if last.current is None:
            raise EgostreamError(f"fuzzing {self.outcome.target} {how} without an input: {errors.strip()[-600:]}")
        keep(self.wanted.findings, self.outcome.target, last.current, f"the process {how}", errors)
        self.outcome.inputs += 1
        self.outcome.findings += 1
        self.outcome.deaths += 1


def environment(folder: Path) -> dict[str, str]:
    """A child's: what it writes by itself lies in its own folder, and one thread is enough."""
    places = dict.fromkeys(("EGOSTREAM_CACHE", "EGOSTREAM_RUNTIME", "TMPDIR"), str(folder / "scratch"))
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **places, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
