"""tools/bench_backends.py: turns and counts on contenders made up, the figure, and engines of the real weights."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest
from thin_networks import thin_network

from egostream.errors import EgostreamError
from egostream.graph.ports import GRAPHS, POSE_GRAPH, STEP_GRAPH
from tools import bench_backends
from tools.bench_backends import KEPT, WINDOW, engines_of, measure, parse, plot, print_tables
from tools.data.frames import load_frames


def test_all_take_turns():
    calls = []
    contenders = {WINDOW: lambda: calls.append("w"), "a": lambda: calls.append("a")}
    result = measure(contenders, rounds=3, steps=2, label="")
    assert "".join(calls) == "wa" + "waa" * 3
    assert result[WINDOW]["runs"] == 3 and result["a"]["runs"] == 6 and 0 <= result["a"]["p50"] <= result["a"]["p99"]


def test_figure_and_tables(tmp_path, capsys):
    row = lambda ms: {"p50": ms, "p99": 1.2 * ms, "runs": 5}
    pose = {WINDOW: row(2000.0), KEPT: row(80.0), "openvino int8": row(14.0)}
    result = {
        "about": "paper causal T=32",
        "pose": pose,
        "graphs": {graph: {"openvino int8": row(3.0)} for graph in GRAPHS},
    }
    plot(tmp_path / "b.png", result)
    assert cv2.imread(str(tmp_path / "b.png")).std() > 10
    print_tables(result)
    assert "142.9" in capsys.readouterr().out  # 2000 / 14


@pytest.fixture
def thin(thin_weights_of, monkeypatch):
    monkeypatch.setattr(bench_backends, "load_network", thin_network)
    return thin_weights_of("causal")


def test_the_backends_benchmark_finds_every_engine_faster_than_the_window(thin, monkeypatch, capsys):
    options = "--rounds 1 --steps 3 --precision fp32 --no-compile --json".split()
    monkeypatch.setattr(sys, "argv", ["bench_backends.py", str(thin.folder), *options])
    bench_backends.main()
    result = json.loads(capsys.readouterr().out)
    window = result["pose"].pop("PyTorch, whole window")
    assert {"openvino fp32", "openvino fp32, ahead", "onnxruntime fp32"} <= set(result["pose"])
    assert not any("int8" in name for name in result["pose"])
    assert all(row["p50"] < window["p50"] for row in result["pose"].values())  # by a factor of ten and more
    assert set(result["graphs"]) == {"heatmap", "backbone", "temporal", "decoder"}


def test_engines_of_every_backend_run(thin, monkeypatch):
    """Each named engine gives the poses of its graph, and one that is cached is not compiled again."""
    monkeypatch.setattr(bench_backends, "available_precisions", lambda weights, runner: ["fp32"])
    monkeypatch.setattr(bench_backends, "GRAPHS", ("decoder",))  # one of the four shows it, and the command has all
    network, frames = thin_network(thin), load_frames(None, thin, 2)
    engines = engines_of(thin, network, frames, [])
    assert set(engines) == {"decoder", STEP_GRAPH, POSE_GRAPH} and set(engines[STEP_GRAPH]) == {
        "openvino fp32",
        "onnxruntime fp32",
    }
    one, other = (run()["joints"].copy() for run in engines[STEP_GRAPH].values())
    np.testing.assert_allclose(one, other, atol=1e-3)
    monkeypatch.setattr(bench_backends, "build_engines", lambda *_: pytest.fail("compiled again"))
    engines_of(thin, network, frames, [])


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(EgostreamError, match="--rounds 0"):
        parse(["--rounds", "0"])
    with pytest.raises(EgostreamError, match="existing folder"):
        parse(["--plot", str(tmp_path / "no" / "b.png")])
