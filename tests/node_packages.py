"""Programs for Node that tests run: with packages from npm's registry, in a folder that is kept for the next run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PACKAGES = {"three": "0.187.0", "@pixiv/three-vrm": "3.5.5", "@pixiv/three-vrm-animation": "3.5.5"}
PROGRAMS = Path(__file__).parent / "node"
PATIENCE_S = 240


class NodePackages:
    """A folder with packages and our programs beside them."""

    def __init__(self, folder: Path):
        self.folder = folder
        for program in PROGRAMS.glob("*.mjs"):
            shutil.copy(program, folder)

    def run(self, program: str, *arguments) -> object:
        """What a program prints, as JSON."""
        command = ["node", str(self.folder / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def install() -> NodePackages:
    """Bring the packages, once. Skips where Node or the registry is not to be had."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed")
    folder = Path(os.environ["EGOSTREAM_CACHE"]) / "tests-node"
    if not all((folder / "node_modules" / name / "package.json").exists() for name in PACKAGES):
        bring(folder)
    return NodePackages(folder)


def bring(folder: Path) -> None:
    """Bring the packages into a folder. Other processes of the tests may do the same: one of them wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as staging:
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", staging, *wanted]
        try:
            done = subprocess.run(command, cwd=staging, capture_output=True, text=True, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not bring {', '.join(PACKAGES)} within {PATIENCE_S} s")
        if done.returncode:
            pytest.skip(f"npm cannot bring {', '.join(PACKAGES)}: {done.stderr.strip().splitlines()[-1:]}")
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path(staging, "node_modules").rename(make(folder) / "node_modules")


def make(folder: Path) -> Path:
    """A folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
