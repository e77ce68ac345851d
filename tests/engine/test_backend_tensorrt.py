"""TensorRT's compiler, which needs no GPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from conftest import ROOT

from egostream.engine.backend_tensorrt import TensorRTBackend
from egostream.engine.build import build_engine, graph_for, wanted_fields
from egostream.engine.load import check_engine, read_manifest
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.gpu_form import as_gpu_form
from egostream.graph.ports import GRAPHS

needs_rtx = pytest.mark.skipif(not importlib.util.find_spec("tensorrt_rtx"), reason="pip install tensorrt-rtx")


@needs_rtx
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_tensorrt_compiles_every_graph(request, thin_weights_of, precision, tmp_path):
    """In int8 of a whole network, whose scales it takes; in the others of thin ones."""
    weights = request.getfixturevalue("quantised_weights") if precision == "int8" else thin_weights_of("causal")
    seen = []
    runner = TensorRTBackend(progress=lambda *step: seen.append(step) or True)
    for graph in GRAPHS:
        path = build_engine(weights, graph, runner, precision, 4, tmp_path)
        manifest = read_manifest(path)
        assert path.stat().st_size > 1e5 and manifest.backend_version.startswith("tensorrt_rtx ")
        assert (manifest.device, manifest.precision, manifest.batch) == ("NVIDIA ampere+", precision, 4)
        ports = as_gpu_form(bind_graph(weights, graph)).graph
        assert set(manifest.inputs) == {p.name for p in ports.input} and list(manifest.outputs) == [
            p.name for p in ports.output
        ]
        shapes = {name: shape for name, (_, shape) in (manifest.inputs | manifest.outputs).items()}
        assert shapes.pop("ring", [-1])[0] == -1 and all(shape[0] == 4 for shape in shapes.values())
        with pytest.raises(EgostreamError, match="this run has fp9"):
            check_engine(path, wanted_fields(weights, graph, runner, precision, 4) | {"precision": "fp9"})
    assert {"Building engine"} & {phase for phase, _, _ in seen}


@needs_rtx
@pytest.mark.parametrize("graph", GRAPHS)
def test_tensorrt_compiles_the_window_form(thin_weights_of, graph, tmp_path):
    path = build_engine(thin_weights_of("window"), graph, TensorRTBackend(), "fp16", 1, tmp_path)
    assert path.stat().st_size > 1e5
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(EgostreamError, match="SHA-256"):
        check_engine(path, {})


@needs_rtx
def test_tensorrt_targets_and_refusals(thin_weights_of, tmp_path):
    runner = TensorRTBackend(target="sm89")
    path = build_engine(thin_weights_of("window"), "decoder", runner, "fp16", 1, tmp_path)
    assert read_manifest(path).device == "NVIDIA sm89"
    odd = graph_for(thin_weights_of("window"), "decoder", runner, "fp32")
    odd.graph.node[3].op_type = "NoSuchOperator"
    with pytest.raises(EgostreamError, match="tensorrt cannot compile the decoder graph.*NoSuchOperator"):
        build_engine(thin_weights_of("window"), "decoder", runner, "fp32", 1, tmp_path, odd)
    done = subprocess.run(
        [sys.executable, "tools/build_engine.py", "--backend", "tensorrt", "--module", "tensorrt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if not importlib.util.find_spec("tensorrt"):
        assert (
            done.returncode == 1
            and "tensorrt is not installed" in done.stderr
            and "pip install tensorrt" in done.stderr
        )
