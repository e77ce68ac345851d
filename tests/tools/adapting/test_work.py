"""Commands in processes of their own: what they say, how they fail, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from egostream.errors import EgostreamError
from tools.adapting.work import python, run_command

#: Says that it runs, and on SIGTERM keeps what it has, as the training tools do.
WORKER = """
import pathlib, signal, sys, time
def keep(*_):
    pathlib.Path(sys.argv[1]).write_text("kept")
    sys.exit("stopped at step 3")
signal.signal(signal.SIGTERM, keep)
print("step 2", flush=True)
time.sleep(60)
"""


def nothing(seconds, line):
    """Look at nothing."""


def wait_for(condition, what):
    """Until it is so; fails after half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_words_are_kept_and_output_is_apart(tmp_path):
    script = "import sys; print('report'); print('10%\\r20%', file=sys.stderr)"
    seen = []
    run_command(python("-c", script), tmp_path / "a.log", lambda s, line: seen.append(line), tmp_path / "out")
    run_command(python("-c", "print('more')"), tmp_path / "a.log", nothing)
    assert (tmp_path / "out").read_text() == "report\n"
    assert (tmp_path / "a.log").read_text().split() == ["10%", "20%", "more"]


def test_a_failure_is_the_last_line(tmp_path):
    with pytest.raises(EgostreamError, match="^tool: no such thing .all of it: .*a.log"):
        run_command(
            python("-c", "import sys; print('hm'); sys.exit('tool: no such thing')"), tmp_path / "a.log", nothing
        )
    with pytest.raises(EgostreamError, match="status -9"):
        run_command(python("-c", "import os; os.kill(os.getpid(), 9)"), tmp_path / "b.log", nothing)


def test_stopped_it_keeps_what_it_has(tmp_path):
    def stop(seconds, line):
        if line == "step 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_command(python("-c", WORKER, tmp_path / "kept"), tmp_path / "a.log", stop)
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's end")
def test_it_ends_with_a_killed_parent(tmp_path):
    parent = f"""
from pathlib import Path
from tools.adapting.work import python, run_command
command = python("-c", {WORKER!r}, {str(tmp_path / "kept")!r})
run_command(command, Path({str(tmp_path / "a.log")!r}), lambda s, line: None)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(lambda: (tmp_path / "a.log").exists() and "step 2" in (tmp_path / "a.log").read_text(), "it never ran")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for((tmp_path / "kept").exists, "it went on without its parent")
