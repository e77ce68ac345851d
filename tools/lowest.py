#!/usr/bin/env python
"""Tries the lowest versions that pyproject.toml allows: a fresh environment, and in it the sample, streamed and kept.

    python tools/lowest.py                  # makes an environment, uses it, and takes it away
    python tools/lowest.py --keep .venv-low # leaves it there

`uv` resolves the lowest versions (pip install -e '.[supply]'). All extras of the runtime are installed but those with
PyTorch, Ray and TensorRT. Exit status 1: a version is too low for what is tried.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.errors import EgostreamError
from tools.entry import run_tool

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "annotate,bridge,calibrate,onnxruntime,openvr,plot,record,vrchat"
#: What is tried, as ``egostream`` takes it; {folder} is an empty one.
COMMANDS = (
    "doctor --json",
    "run --print-config",
    "lens {root}/calib/canonical.json --plot {folder}/lens.png",
    "keys -o {folder}/keys",
    "annotate sample -o {folder}/a.parquet -o {folder}/a.jsonl -o {folder}/a.mcap -o {folder}/a.glb --smooth",
    "replay {folder}/run.mcap --check",
)
STREAMING_S = 300  # engines are compiled first
#: A run in its own process, recorded; and a client that reads it.
CLIENT = """
import subprocess, sys, time
from egostream import PoseSubscriber
from egostream.publish.control import request
folder = sys.argv[1]
endpoint, control = f"ipc://{folder}/poses", f"ipc://{folder}/control"
run = subprocess.Popen([sys.executable, "-m", "egostream", "run", "--publish", endpoint, "--control", control,
                        "--record", f"{folder}/run.mcap"])
seen, end_s = set(), time.monotonic() + 240
with PoseSubscriber(endpoint) as poses:
    while run.poll() is None and len(seen) < 60 and time.monotonic() < end_s:
        if (pose := poses.newest(0.5)) is not None:
            assert pose.joints.shape == (15, 3)
            seen.add(pose.seq)
    assert poses.status(5.0).poses > 0
if run.poll() is None:
    request(control, {"cmd": "stop"}, 10)
print(f"{len(seen)} poses")
sys.exit(run.wait(60) or len(seen) < 60)
"""
OTHERS = (
    "import egostream.head.vrchat as v; from pythonosc.osc_message_builder import OscMessageBuilder as M; "
    "m = M(v.ADDRESS); [m.add_arg(float(n)) for n in range(6)]; assert v.values_of(m.build().dgram); import zeroconf",
    "import egostream.bridge.lsl, egostream.bridge.websocket, egostream.view.server, pylsl, openvr",
    "from egostream.engine.backends import backend as b; print(b('onnxruntime').version(), b('openvino').version())",
)


def main() -> None:
    """Make the environment and try it. Exits with 1 where something fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the environment here, and leave it")
    options = parser.parse_args()
    if find_spec("uv") is None:
        raise EgostreamError("the package uv is missing: pip install -e '.[supply]'")
    with tempfile.TemporaryDirectory(prefix="egostream-lowest-") as folder:
        place = (options.keep or Path(folder) / "venv").absolute()
        python = made(place)
        failed = [words for words in attempts(python, Path(folder)) if not works(words, Path(folder))]
    for words in failed:
        print(f"failed: {' '.join(words)[:200]}")
    sys.exit(1 if failed else 0)


def made(place: Path) -> Path:
    """The Python of a new environment with the lowest versions. Prints them. Raises EgostreamError."""
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    uv = [sys.executable, "-m", "uv"]
    install = [*uv, "pip", "install", "-q", "--python", str(python), "--resolution", "lowest-direct"]
    for words in (
        [*uv, "venv", "-q", "--python", sys.executable, str(place)],
        [*install, "-e", f"{ROOT}[{EXTRAS}]"],
        [*uv, "pip", "list", "--python", str(python), "--format", "json"],
    ):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            if not python.exists() or words[-1].endswith("]"):
                shutil.rmtree(place, ignore_errors=True)
            raise EgostreamError(f"{' '.join(words[2:5])} failed: {' '.join(done.stderr.split())}")
    print(", ".join(f"{one['name']} {one['version']}" for one in json.loads(done.stdout)), flush=True)
    return python


def attempts(python: Path, folder: Path) -> list[list[str]]:
    """The commands to try: a stream first, whose recording others read."""
    own = [[str(python), "-c", CLIENT, str(folder)], *([str(python), "-c", code] for code in OTHERS)]
    words = (command.format(folder=folder, root=ROOT).split() for command in COMMANDS)
    return [*own, *([str(python), "-m", "egostream", *some] for some in words)]


def works(words: list[str], folder: Path) -> bool:
    """Whether a command ends well. Prints what it is and how it ended."""
    places = {"EGOSTREAM_CACHE": str(folder / "cache"), "EGOSTREAM_RUNTIME": str(folder / "runtime")}
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        words, cwd=folder, env={**kept, **places}, capture_output=True, text=True, timeout=STREAMING_S
    )
    shown = " ".join(words[1:])[:70].replace("\n", " ")
    print(f"{'ok  ' if not done.returncode else 'FAIL'} {shown}", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr)[-3000:], flush=True)
    return not done.returncode


if __name__ == "__main__":
    run_tool(main)
