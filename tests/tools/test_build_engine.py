"""The command that compiles a weights folder."""

from __future__ import annotations

import json
import subprocess
import sys

import onnx
from conftest import ROOT

from egostream.graph.ports import COMPOSED_OF, GRAPH_IO, GRAPHS, STEP_GRAPH


def test_build_engine_writes_graphs_engines_and_parity(tmp_path):
    command = [
        sys.executable,
        "tools/build_engine.py",
        "--backend",
        "onnxruntime",
        "--count",
        "2",
        "--batch",
        "2",
        "-o",
        str(tmp_path / "built"),
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parity = json.loads(done.stdout)
    assert set(parity) == {*GRAPHS, *COMPOSED_OF} and parity[STEP_GRAPH]["fp32"]["joints"][0] < 1e-3
    for graph in (*GRAPHS, *COMPOSED_OF):
        onnx.checker.check_model(onnx.load(tmp_path / "built" / f"{graph}.onnx"))
        manifest = json.loads((tmp_path / "built" / f"{graph}.onnxruntime-fp32-b2.onnx.json").read_text())
        assert manifest["parity"] == parity[graph]["fp32"]
    assert {name.partition("/")[0] for name in GRAPH_IO} == {*GRAPHS, *COMPOSED_OF}
