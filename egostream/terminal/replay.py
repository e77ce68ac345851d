"""What ``egostream replay`` does: a run over the recording, a check of its poses, or its messages sent again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from egostream.capture.source_text import is_mcap
from egostream.config import RunConfig, load_config, stream_configs
from egostream.errors import EgostreamError
from egostream.graph.weights import Weights
from egostream.record.mcap_library import check_mcap
from egostream.supervise.prepare import prepare_run
from egostream.supervise.signals import stop_signals
from egostream.terminal.recorded import settings_of_preset, settings_of_replay

#: Settings that a recording plays by unless a flag says otherwise.
Flags = dict[str, Any]


def replay_config(path: Path, streams: Sequence[str], flags: Flags) -> RunConfig:
    """The settings of a run that plays a recording's streams, all without names. Raises EgostreamError."""
    check_file(path)
    names = streams_of(path, streams)
    beneath = settings_of_preset if flags.get("preset") else settings_of_replay
    if len(names) == 1:
        return load_config(None, {"source": f"{path}#{names[0]}", "stream": names[0], **flags}, beneath)
    tables = [{"source": f"{path}#{name}", "stream": name} for name in names]
    return load_config(None, {"streams": tables, **flags}, beneath)


def check_file(path: Path) -> None:
    """Raise EgostreamError for what is no file, or no MCAP."""
    check_mcap()
    if not path.is_file():
        raise EgostreamError(f"no recording {path}. Make one: egostream record -o {path.stem}.mcap")
    if not is_mcap(path):
        raise EgostreamError(f"{path} is no MCAP file. Other recordings are played by: egostream run --source {path}")


def streams_of(path: Path, wanted: Sequence[str]) -> list[str]:
    """Names of the streams to play. Raises EgostreamError where the file has no such."""
    from egostream.record.reader import RecordingReader

    about = RecordingReader(path).about
    return [about.stream(name).name for name in wanted] if wanted else [one.name for one in about.streams]


def replay_live(config: RunConfig) -> None:
    """Play a recording as the camera of a run."""
    from egostream.terminal.run import run_with_status_line

    run_with_status_line(config)


def check(path: Path, config: RunConfig) -> bool:
    """Compare each stream's poses with those that its pictures give, and say what was found."""
    from egostream.replay.check import check_recording

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    say = lambda line: console.print(line, markup=False)
    verdicts = []
    for one in stream_configs(msgspec.structs.replace(config, pace="every-frame", loop=False)):
        setup = prepare_run(one, say)
        for line in what_differs(path, setup.weights, setup.backend, setup.precision):
            say(line)
        columns = TextColumn("checking"), BarColumn(), TextColumn("{task.completed} poses")
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("checking", total=None)
            on_pose = partial(show, progress, task)
            verdicts.append(check_recording(path, one.stream, setup, say, on_pose))
        print(f"{verdicts[-1].text()} ({setup.backend} {setup.precision}, motion {setup.motion})")
    return all(verdict.is_identical for verdict in verdicts)


def show(progress: Progress, task: TaskID, done: int) -> None:
    """Show how many poses are done."""
    progress.update(task, completed=done)


def what_differs(path: Path, weights: Weights, backend: str, precision: str) -> list[str]:
    """Why the same poses are not promised: what made the recorded ones is not what is here."""
    from egostream.record.reader import RecordingReader

    facts = RecordingReader(path).about.facts
    lines = []
    if (was := facts.get("weights", "")) != weights.id:
        lines.append(f"recorded with weights {was[:12]}, checked with {weights.id[:12]}: other poses are no error")
    if (was := f"{facts.get('backend')} {facts.get('precision')}") != f"{backend} {precision}":
        lines.append(f"recorded by {was}, checked by {backend} {precision}: the same bits are not promised")
    return lines


def send_messages(path: Path, streams: Sequence[str], config: RunConfig, as_recorded: bool) -> None:
    """Send a recording's messages again until its end, or Ctrl-C."""
    from egostream.publish.endpoints import check_endpoint, check_keys
    from egostream.replay.messages import publish_recording

    check_endpoint("publish", config.publish, config)
    check_keys(config)
    is_told_to_stop = False

    def stop() -> None:
        nonlocal is_told_to_stop
        is_told_to_stop = True

    print(f"messages of {path} on {config.publish}; Ctrl-C ends it", file=sys.stderr)
    with stop_signals(stop):
        sent = publish_recording(path, list(streams), config, as_recorded, lambda: is_told_to_stop)
    print(f"{sent.poses} poses and {sent.statuses} statuses sent")
