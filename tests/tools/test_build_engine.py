"""The command that compiles a weights folder."""

from __future__ import annotations

import json
import sys

import onnx
from thin_networks import thin_network

from egostream.graph.built import read_built
from egostream.graph.ports import COMPOSED_OF, GRAPH_IO, GRAPHS, STEP_GRAPH
from tools import build_engine


def test_build_engine_writes_graphs_engines_and_parity(thin_weights_of, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tools.network.build.load_network", thin_network)
    options = f"--backend onnxruntime --count 2 --batch 2 -o {tmp_path}/built --json".split()
    monkeypatch.setattr(sys, "argv", ["build_engine.py", str(thin_weights_of("causal").folder), *options])
    build_engine.main()
    printed = capsys.readouterr()
    parity = json.loads(printed.out)
    said = [line for line in printed.err.splitlines() if line.startswith("comparing ")]
    assert [line.split()[1] for line in said if line.endswith("fp32 with PyTorch ...")] == [*parity], printed.err
    assert set(parity) == {*GRAPHS, *COMPOSED_OF} and parity[STEP_GRAPH]["fp32"]["joints"][0] < 1e-3
    for graph in (*GRAPHS, *COMPOSED_OF):
        onnx.checker.check_model(onnx.load(tmp_path / "built" / f"{graph}.onnx"))
        manifest = json.loads((tmp_path / "built" / f"{graph}.onnxruntime-fp32-b2.onnx.json").read_text())
        assert manifest["parity"] == parity[graph]["fp32"]
    built = read_built(tmp_path / "built")
    assert built.weights_id == thin_weights_of("causal").id and built.precisions == ("fp32",)
    assert built.weights_folder(tmp_path / "built") == thin_weights_of("causal").folder
    assert {name.partition("/")[0] for name in GRAPH_IO} == {*GRAPHS, *COMPOSED_OF}
