"""How the code stands: sizes, annotations, the direction of imports, style, types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import house
import pytest
from conftest import ROOT


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """A linter of this environment; skips where it is not installed."""
    path = shutil.which(command[0], path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"pip install {command[0]}")
    return subprocess.run([path, *command[1:]], cwd=folder, capture_output=True, text=True, timeout=600)


def test_figures_of_the_code_keep_their_bounds(capsys):
    kept = house.main()
    assert kept == 0, capsys.readouterr().out


def test_imports_run_in_one_direction():
    done = run("lint-imports")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("capture/main.py", "from egostream.infer import taker"),
        ("engine/load.py", "def late():\n    from egostream.publish import client"),
        ("calibration/lens.py", "from egostream.calibration import file"),
        ("handover/record.py", "import tools.entry"),
    ],
    ids=["across", "up, inside a function", "circle", "tools"],
)
def test_an_import_against_the_direction_is_found(tmp_path, file, line):
    for name in ("egostream", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.avi", "*.npz"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / "egostream" / file, "a") as source:
        source.write(f"\n\n{line}\n")
    done = run("lint-imports", folder=tmp_path)
    assert done.returncode == 1 and Path(file).stem in done.stdout


def test_style():
    for command in (("ruff", "check", "."), ("ruff", "format", "--check", ".")):
        done = run(*command)
        assert done.returncode == 0, done.stdout


def test_types():
    done = run("mypy", "egostream", "tools")
    assert done.returncode == 0, done.stdout
