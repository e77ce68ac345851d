"""Looking at a run from outside: its processes, and waiting for what shall happen."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

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
