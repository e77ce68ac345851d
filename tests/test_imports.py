"""What processes import, and what the runtime never does."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from conftest import ROOT

from egostream.capture.sources import SAMPLE


def test_worker_imports_stay_light():
    """What a spawned child imports before its own work: no command line, no network, no client."""
    heavy = (
        "typer", "rich", "openvino", "torch", "onnx", "onnxruntime", "zmq", "av",
        "egostream.terminal", "egostream.publish", "egostream.infer", "egostream.engine",
    )  # fmt: skip
    code = (
        "import sys, egostream.__main__, egostream.supervise.processes; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"


def test_the_runtime_never_needs_torch(tmp_path):
    """No process of a run imports PyTorch or our tools: both are made to fail on import, for children too."""
    for name in ("torch", "torchvision", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the runtime imported this')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "egostream",
            "run",
            "--source",
            str(SAMPLE),  # a file, which ends by itself, however long the machine takes
            "--assume-canonical",
            "--every-frame",
            "--publish",
            f"ipc://{tmp_path}/poses",
            "--control",
            "",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "process ended" not in done.stderr, done.stderr
    assert int(re.search(r"^(\d+) poses,", done.stderr, re.M)[1]) >= 80
