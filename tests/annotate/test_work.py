"""Several recordings at once, in processes that may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from processes import egostream, wait_for

from egostream.annotate.one import annotate
from egostream.annotate.plan import Job
from egostream.annotate.work import Progress, choose_jobs, work_through


def job_of(folder, out, count):
    return Job(str(folder), (str(out / f"{folder.name}-{count}.csv"),))


def test_a_process_that_is_killed_costs_its_recording_and_no_other(setup, stream, images_in, tmp_path):
    """Two at once, three recordings. The first's process is killed over it; its half-made file is gone."""
    out = tmp_path / "out"
    jobs = [job_of(images_in(tmp_path / f"clip{n}", 40 if n == 0 else 4), out, n) for n in range(3)]
    reports, killed = {}, None
    for event in work_through(setup, jobs, 2):
        if isinstance(event, Progress) and event.job is jobs[0] and killed is None:
            (draft,) = out.glob(".*.clip0-0.csv")
            killed = int(draft.name.split(".")[1])
            os.kill(killed, signal.SIGKILL)
        elif isinstance(event, tuple):
            reports[event[0]] = event[1]
    assert killed is not None and len(reports) == 3
    assert "ended by signal SIGKILL" in reports[jobs[0]].error and not reports[jobs[0]].is_fatal
    assert sorted(path.name for path in out.iterdir()) == ["clip1-1.csv", "clip2-2.csv"]
    alone = tmp_path / "alone.csv"
    assert not annotate(stream, Job(jobs[2].source, (str(alone),)), lambda *_: None).error
    assert alone.read_bytes() == Path(jobs[2].outputs[0]).read_bytes()  # whatever the number of threads
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_as_many_at_once_as_make_sense(setup):
    assert choose_jobs(setup, 3, 10) == 3 and choose_jobs(setup, 3, 2) == 2 and choose_jobs(setup, 0, 1) == 1
    assert 1 <= choose_jobs(setup, 0, 1000) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_cut_off_goes_on_with_the_same_command(images_in, tmp_path, kill):
    images_in(tmp_path / "data" / "a", 3)
    images_in(tmp_path / "data" / "b", 60)
    command = ["annotate", str(tmp_path / "data"), "-o", f"{tmp_path}/out/", "--format", "csv", "--assume-canonical"]
    out = tmp_path / "out"
    run = subprocess.Popen(
        [sys.executable, "-m", "egostream", *command, "--jobs", "1"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    children = []

    def is_half_done():
        children[:] = psutil.Process(run.pid).children()
        return (out / "a.csv").exists() and any(path.name.endswith("b.csv") for path in out.iterdir())

    try:
        assert wait_for(is_half_done, 100)
        run.send_signal(kill)
        said = run.communicate(timeout=60)[1]
    finally:
        run.kill()
        run.wait()
    assert wait_for(lambda: not any(child.is_running() for child in children))
    assert sorted(path.name for path in out.iterdir()) == ["a.csv"], said
    assert run.returncode == (-signal.SIGKILL if kill == signal.SIGKILL else 130)
    if kill == signal.SIGKILL:
        return
    assert "1 of 2 recordings done, 1 left: the same command goes on" in said
    before = (out / "a.csv").stat().st_mtime_ns
    done = egostream(*command)
    assert done.returncode == 0 and "1 recording was done before, 60 poses" in done.stderr
    assert (out / "a.csv").stat().st_mtime_ns == before
    assert (out / "b.csv").read_text().count("\n") == 1 + 60 * 15
    again = egostream(*command)
    assert again.returncode == 0 and "2 recordings were done before. To make them anew: --again" in again.stderr


def heed_interrupts():
    """A test run in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
