"""What this machine can do, by doing a little of it: the recordings that are rendered meanwhile are kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec

from egostream.errors import EgostreamError
from tools.adapting.plan import JUDGED, TRIAL, Least, Rates
from tools.adapting.said import Teller, duration
from tools.adapting.steps import Kitchen, frames_in
from tools.adapting.work import python, run_command


class Pace:
    """Frames a second of a rendering, from its first frame on."""

    def __init__(self, folder: Path, what: str, teller: Teller):
        self.folder, self.what, self.teller = folder, what, teller
        self.first: tuple[float, int] | None = None
        self.newest = (0.0, 0)

    def look(self, seconds: float, line: str) -> None:
        """Count what is there after so many seconds."""
        count = frames_in(self.folder)
        if self.first is None and count:
            self.first = seconds, count
        if count > self.newest[1]:
            self.newest = seconds, count
        self.teller.progress(f"measuring: {self.what}, {count} frames in {duration(seconds)}")

    def rate(self, seconds: float) -> float:
        """Frames a second; over the whole of the ``seconds`` where the first frames came too late to tell."""
        begun, before = self.first or (0.0, 0)
        ended, count = self.newest
        if count - before >= max(2, count // 4) and ended > begun:
            return (count - before) / (ended - begun)
        return max(count, 1) / seconds


def rendering(kitchen: Kitchen, command: list[str], folder: Path, what: str, teller: Teller, lock: int | None) -> float:
    """Frames a second that a rendering makes. Raises EgostreamError when it cannot."""
    pace, begun = Pace(folder, what, teller), time.monotonic()
    run_command(command, kitchen.at.logs / "measure.log", pace.look, lock=lock)
    seconds = time.monotonic() - begun
    pace.look(seconds, "")
    return pace.rate(seconds)


def measure(kitchen: Kitchen, teller: Teller, lock: int | None) -> Rates:
    """Render some people, learn from and estimate a few frames. Raises EgostreamError when any of it cannot be done."""
    at, jobs = kitchen.at, kitchen.options.jobs
    is_trial = kitchen.options.trial
    people = kitchen.render_people(train=TRIAL.train if is_trial else max(Least.train, jobs))
    rates = {"people": rendering(kitchen, people, at.people, "rendering people", teller, lock)}
    clips = kitchen.render_clips(test=TRIAL.judged if is_trial else min(JUDGED, jobs))
    rates["clips"] = rendering(kitchen, clips, at.clips, "rendering movement", teller, lock)
    look = lambda seconds, line: teller.progress(f"{line or 'measuring: starting PyTorch'}, {duration(seconds)}")
    output, begun = at.out / ".rates.json", time.monotonic()
    command = python("-m", "tools.adapting.rates", kitchen.weights.folder)
    run_command(command, at.logs / "measure.log", look, output, lock)
    seconds = time.monotonic() - begun
    try:
        found = json.loads(output.read_text())
        start_s = max(1.0, seconds - found.pop("measuring_s"))
        return msgspec.convert(found | rates | {"start_s": round(start_s, 1)}, Rates)
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise EgostreamError(f"{output} cannot be read ({error!r}). Run the same command again") from None
    finally:
        output.unlink(missing_ok=True)
