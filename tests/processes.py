"""Looking at a run from outside: its processes, and waiting for what shall happen."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import psutil
from conftest import ROOT


def workers(run) -> dict[str, psutil.Process]:
    """Capture and inference processes, told apart by the libraries they have loaded."""
    found = {}
    for child in psutil.Process(run.process.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            loaded = {Path(m.path).name.split(".")[0] for m in child.memory_maps()}
            found["infer" if "libopenvino" in loaded else "capture"] = child
    return found


def wait_for(condition, limit=10.0):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def egostream(*arguments: str, **options) -> subprocess.CompletedProcess:
    """A command of egostream, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "egostream", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def egostream_here(*arguments: str) -> subprocess.CompletedProcess:
    """The same in this process, by the same entry point: for commands that end before they start anything.

    A process of its own spends most of its time on importing.
    """
    from egostream.__main__ import main

    out, err, before = io.StringIO(), io.StringIO(), [signal.getsignal(one) for one in SIGNALS]
    try:
        with (
            mock.patch.object(sys, "argv", ["egostream", *arguments]),
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        for one, handler in zip(SIGNALS, before):
            signal.signal(one, handler)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
