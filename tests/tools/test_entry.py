"""How every tool begins and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

from egostream.errors import EgostreamError
from tools.entry import run_tool

TOOLS = """build_engine import_checkpoint calibrate bench_backends bench_gpu export_graphs
quantize make_sample make_synthetic train_heatmap train_pose
evaluate pack_weights contact_sheet""".split()


#: Calls tools as scripts, one after another in one process: each alone spends seconds on importing PyTorch.
ASK_ALL = """
import runpy, sys
for tool in sys.argv[1:]:
    sys.argv = [f"tools/{tool}.py", "--help"]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        print(f"{tool} ended with {ended.code}")
"""


def test_every_tool_says_how_to_call_it():
    done = subprocess.run([sys.executable, "-c", ASK_ALL, *TOOLS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for tool in TOOLS:
        assert f"python tools/{tool}.py" in done.stdout and f"{tool} ended with 0" in done.stdout, tool


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (EgostreamError("no data"), 1, "no data"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (ModuleNotFoundError("No module named 'torch'"), 1, "pip install -e '.[train]'"),
        (KeyboardInterrupt(), 130, "half is kept"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_tool_ends_in_one_line(monkeypatch, capsys, error, code, line):
    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["tools/some_tool.py"])
    with pytest.raises(SystemExit) as ended:
        run_tool(main, stopped="half is kept")
    said = (
        capsys.readouterr().err if ended.value.code == code else str(ended.value.code)
    )  # Python prints a code that is text, with status 1
    assert said.startswith("some_tool: ") and line in said and (code == 1) == isinstance(ended.value.code, str)
