"""What ``egostream annotate`` does and shows: the plan, a bar while it works, a report at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from egostream.annotate.on_ray import work_on_ray
from egostream.annotate.one import Report
from egostream.annotate.places import size_of
from egostream.annotate.plan import Job, Plan, make_plan
from egostream.annotate.sources import find_recordings
from egostream.annotate.work import Event, Note, choose_jobs, work_through
from egostream.annotate.work import Progress as Partly
from egostream.config import RunConfig
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import prepare_poses
from egostream.supervise.signals import stop_signals
from egostream.terminal.run import engine_text, stream_text, warn

#: Reports of single recordings that are printed; of more, only those with something odd.
FEW = 12
PLAIN_PERIOD_S = 10.0  # where there is no terminal to redraw: one line this often
BROKEN_OFF = 130  # exit status after Ctrl-C, as shells have it


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for, beside the settings of the poses."""

    sources: tuple[str, ...]
    outs: tuple[str, ...]
    format: str
    overlay: str
    is_smoothed: bool
    jobs: int
    ray: str  # address of a Ray cluster; empty: this machine's own processes
    again: bool
    as_json: bool


def annotate_files(config: RunConfig, wanted: Wanted) -> None:
    """Annotate recordings. Raises EgostreamError, and typer.Exit where nothing came of a recording."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    found = find_recordings(wanted.sources)
    suffix = f".{wanted.format.removeprefix('.')}"
    plan = make_plan(found, wanted.outs, suffix, wanted.overlay, wanted.is_smoothed, wanted.again)
    if not plan.jobs:
        console.print(f"{done_text(plan.done_before)}. To make them anew: --again", markup=False)
        return
    setup = prepare_poses(for_recordings(config, plan, wanted), lambda line: console.print(line, markup=False))
    announce(console, setup)
    begun_s = time.monotonic()
    reports, is_broken_off = watch(console, plan, setup, wanted)
    tell(console, plan, reports, time.monotonic() - begun_s, wanted)
    if is_broken_off:
        raise typer.Exit(BROKEN_OFF)
    if any(report.error for report in reports):
        raise typer.Exit(1)


def for_recordings(config: RunConfig, plan: Plan, wanted: Wanted) -> RunConfig:
    """The settings for these recordings. The sample needs no calibration; where there are others, they do."""
    source = next((job.source for job in plan.jobs if job.source != "sample"), "sample")
    filter_changed = {"filter": "off"} if wanted.is_smoothed else {}
    return msgspec.structs.replace(config, source=source, **filter_changed)


def announce(console: Console, setup: RunSetup) -> None:
    """Say what was chosen, before it starts."""
    console.print(stream_text(setup.streams[0]).split(", ", 1)[1], markup=False)
    console.print(engine_text(setup), markup=False)
    warn(console, setup)


def watch(console: Console, plan: Plan, setup: RunSetup, wanted: Wanted) -> tuple[list[Report], bool]:
    """Let the recordings be annotated, and show how far they are. Returns the reports, and whether it was cut off."""
    reports: list[Report] = []
    try:
        with (
            stop_signals(interrupt),
            Bar(console, plan.jobs) as bar,
            contextlib.closing(events_of(plan, setup, wanted)) as events,
        ):
            for event in events:
                bar.show(event)
                if isinstance(event, tuple):
                    reports.append(event[1])
    except KeyboardInterrupt:
        return reports, True
    return reports, False


def interrupt() -> None:
    """A polite kill and a closed terminal unwind as Ctrl-C does."""
    raise KeyboardInterrupt


def events_of(plan: Plan, setup: RunSetup, wanted: Wanted) -> Generator[Event]:
    """What happens while recordings are annotated, here or over a cluster."""
    if wanted.ray:
        return work_on_ray(setup, plan.jobs, wanted.ray)
    return work_through(setup, plan.jobs, choose_jobs(setup, wanted.jobs, len(plan.jobs)))


class Bar:
    """The bar of a run over recordings: redrawn on a terminal, a line now and then elsewhere.

    The part that is done is counted in bytes of the recordings, since their frames are not known before they are read.
    """

    def __init__(self, console: Console, jobs: Iterable[Job]):
        self.console, self.sizes = console, {job: size_of(job.source) for job in jobs}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self.is_drawn = console.is_terminal
        self.begun_s = time.monotonic()
        self.next_s = self.begun_s + PLAIN_PERIOD_S
        self.done_bytes, self.done_poses, self.done_count = 0, 0, 0
        self.partly: dict[Job, Partly] = {}

    def __enter__(self) -> Bar:
        if self.is_drawn:
            self.progress.start()
        self.task = self.progress.add_task("", total=sum(self.sizes.values()))
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_drawn:
            self.progress.stop()

    def show(self, event: Event) -> None:
        """Take note of what happened, and show how far it is."""
        match event:
            case Note(text):
                self.console.print(text, markup=False)
            case Partly(job):
                self.partly[job] = event
            case (job, report):
                self.partly.pop(job, None)
                self.done_bytes += self.sizes[job]
                self.done_poses += report.poses
                self.done_count += 1
                if report.error:
                    self.console.print(f"FAILED {report.error}", markup=False)
        self.redraw()

    def redraw(self) -> None:
        """Show how far it is."""
        done = self.done_bytes + sum(self.sizes[job] * one.fraction for job, one in self.partly.items())
        self.progress.update(self.task, completed=done, description=self.text())
        if not self.is_drawn and time.monotonic() >= self.next_s:
            self.next_s += PLAIN_PERIOD_S
            self.console.print(f"{self.text()}, {100 * done / sum(self.sizes.values()):.0f}%", markup=False)

    def text(self) -> str:
        """How far it is, in a line."""
        poses = self.done_poses + sum(one.poses for one in self.partly.values())
        rate = poses / max(time.monotonic() - self.begun_s, 1e-3)
        return f"{self.done_count} of {len(self.sizes)} recordings, {poses} poses, {rate:.1f} poses/s"


def tell(console: Console, plan: Plan, reports: list[Report], seconds: float, wanted: Wanted) -> None:
    """The report at the end: for people on the error stream, or as JSON."""
    if wanted.as_json:
        print(msgspec.json.encode(as_fields(plan, reports, seconds)).decode())
        return
    for report in reports:
        if len(reports) <= FEW or report.notes or report.bad:
            for line in () if report.error else report_lines(report):
                console.print(line, markup=False)
    console.print(summary(plan, reports, seconds), markup=False)


def as_fields(plan: Plan, reports: list[Report], seconds: float) -> dict:
    """The report for programs."""
    recordings = [{**asdict(report), "rate": rate(report.poses, report.seconds)} for report in reports]
    return {
        "recordings": recordings,
        "done_before": plan.done_before,
        "left": len(plan.jobs) - len(reports),
        "poses": sum(report.poses for report in reports),
        "seconds": seconds,
        "rate": rate(sum(report.poses for report in reports), seconds),
    }


def report_lines(report: Report) -> list[str]:
    """What came of a recording, for people."""
    bad = f", {sum(report.bad.values())} without ({bad_text(report.bad)})" if report.bad else ""
    return [
        f"{report.source}: {report.poses} poses of {report.frames} frames{bad}, confidence {report.confidence:.2f}, "
        f"{rate(report.poses, report.seconds):.1f} poses/s -> {', '.join(report.outputs)}",
        *(f"  {note}" for note in report.notes),
    ]


def bad_text(bad: dict[str, int]) -> str:
    """Frames without a pose, by reason."""
    return ", ".join(f"{count} {reason}" for reason, count in bad.items())


def summary(plan: Plan, reports: list[Report], seconds: float) -> str:
    """The last line."""
    done = [report for report in reports if not report.error]
    poses = sum(report.poses for report in done)
    confidence = sum(report.confidence * report.poses for report in done) / poses if poses else 0.0
    failed, left = len(reports) - len(done), len(plan.jobs) - len(reports)
    parts = [
        f"{len(done)} of {len(plan.jobs)} recordings done",
        *([f"{failed} failed"] if failed else []),
        *([f"{left} left: the same command goes on"] if left else []),
        *([done_text(plan.done_before)] if plan.done_before else []),
        f"{poses} poses in {seconds:.1f} s ({rate(poses, seconds):.1f} a second), confidence {confidence:.2f}",
    ]
    return ", ".join(parts)


def done_text(count: int) -> str:
    """How many recordings were done before."""
    return f"{count} recording{'s were' if count != 1 else ' was'} done before"


def rate(poses: int, seconds: float) -> float:
    """Poses per second; 0 for no time."""
    return poses / seconds if seconds > 0 else 0.0
