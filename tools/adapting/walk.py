"""One part after another, those that are finished left out."""

from __future__ import annotations

import time
from pathlib import Path

from egostream.errors import EgostreamError
from tools.adapting.plan import Plan
from tools.adapting.record import Record, save_record
from tools.adapting.said import Teller, duration
from tools.adapting.steps import Step
from tools.adapting.work import run_command

KEEP_S = 30.0  # seconds between notes of how long a part has taken


class Clock:
    """How long a part has taken in all its runs, and what that says of the rest."""

    def __init__(self, step: Step, expected_s: float, later_s: float, record: Record, out: Path):
        self.step, self.expected_s, self.later_s = step, expected_s, later_s
        self.record, self.out = record, out
        self.before_s = record.spent_s.get(step.name, 0.0)
        self.kept_s = 0.0
        self.begun_with: float | None = None

    def keep(self, seconds: float) -> None:
        """Note in the record that the part has taken so many seconds more."""
        self.kept_s = seconds
        self.record.spent_s[self.step.name] = round(self.before_s + seconds, 1)
        save_record(self.out, self.record)

    def share(self, seconds: float) -> float:
        """How much of the part is done, 0 to 1: by what it has made, or else by the time."""
        if self.step.made:
            return min(1.0, self.step.made())
        return min(0.99, (self.before_s + seconds) / max(self.expected_s, 1e-9))

    def left_s(self, seconds: float, share: float) -> float:
        """Seconds that the part still takes: by its own pace once that can be told, before that as planned."""
        by_plan = max(0.0, self.expected_s * (1 - share))
        if not self.step.made:
            return max(0.0, self.expected_s - self.before_s - seconds)
        if self.begun_with is None:
            self.begun_with = share
        gained = share - self.begun_with
        return seconds / gained * (1 - share) if gained > 0.05 else by_plan

    def line(self, seconds: float) -> str:
        """How far it is, and how long it takes."""
        share = self.share(seconds)
        left = self.left_s(seconds, share)
        more = f"{duration(left)} left" if left else f"finishing, {duration(seconds)} so far"
        return f"{self.step.title}: {share:.0%}, {more}; {duration(left + self.later_s)} in all"


def walk(steps: list[Step], plan: Plan, record: Record, out: Path, teller: Teller, lock: int | None) -> None:
    """Do all parts that are not done. Raises EgostreamError when one fails; those before stay done."""
    for number, step in enumerate(steps):
        if step.name in record.done and step.product.exists():
            continue
        record.done = [name for name in record.done if name != step.name]
        later_s = sum(plan.seconds[one.name] for one in steps[number + 1 :])
        teller.say(f"part {number + 1} of {len(steps)}: {step.title}")
        clock, begun = Clock(step, plan.seconds[step.name], later_s, record, out), time.monotonic()
        try:
            do(step, clock, out, teller, lock)
        except EgostreamError as error:
            raise EgostreamError(f"{step.title} failed: {error}. The same command goes on from here") from None
        finally:
            clock.keep(time.monotonic() - begun)
        record.done.append(step.name)
        save_record(out, record)
        teller.say(f"  done in {duration(time.monotonic() - begun)}")


def do(step: Step, clock: Clock, out: Path, teller: Teller, lock: int | None) -> None:
    """Run a part's command. What it prints gets its name only when it is whole."""

    def look(seconds: float, words: str) -> None:
        if seconds - clock.kept_s > KEEP_S:
            clock.keep(seconds)
        teller.progress(f"  {clock.line(seconds)}{'. ' if words else ''}{words}")

    draft = step.output and step.output.with_name(f".{step.output.name}.partial")
    run_command(step.command, out / "logs" / f"{step.name}.log", look, draft, lock)
    if draft and step.output:
        draft.replace(step.output)
    if not step.product.exists():
        raise EgostreamError(f"it ended without making {step.product}")
