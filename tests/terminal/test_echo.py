"""``egostream echo`` beside a real run."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_echo_prints_poses_of_a_run(pipeline):
    run = pipeline(fps=15)
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "echo", "--endpoint", run.endpoint, "--count", "3", "--timeout", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 3, done.stderr
    assert all(line.startswith("#") and "left_wrist" in line for line in lines)
