"""The table of backends: engines of every processor's one against PyTorch, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from thin_networks import thin_network

from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.backend_openvino import BACKEND as OPENVINO
from egostream.engine.backends import backend, choose_backend
from egostream.engine.build import ensure_engines, wanted_fields
from egostream.engine.load import load_engine
from egostream.errors import EgostreamError
from egostream.graph.ports import STEP_GRAPH, graph_io
from tools.network.build import load_network
from tools.network.export import example_inputs, export_module


@pytest.mark.parametrize("runner", [OPENVINO, ONNXRUNTIME], ids=lambda r: r.name)
def test_step_engines_equal_pytorch(weights_of, runner):
    assert_equal(weights_of("causal"), runner, load_network)


@pytest.mark.parametrize("kind", ["window", "released"])
@pytest.mark.parametrize("runner", [OPENVINO, ONNXRUNTIME], ids=lambda r: r.name)
def test_step_engines_of_other_forms_equal_pytorch(thin_weights_of, kind, runner):
    assert_equal(thin_weights_of(kind), runner, thin_network)


def assert_equal(weights, runner, network_of):
    torch.manual_seed(1)
    network = network_of(weights)
    inputs = example_inputs(STEP_GRAPH, network.spec, 1)
    with torch.no_grad():
        expected = export_module(network, STEP_GRAPH)(*inputs.values())
    path = ensure_engines(weights, [STEP_GRAPH], runner, "fp32", 1)[0].path
    engine, manifest = load_engine(path, wanted_fields(weights, STEP_GRAPH, runner, "fp32", 1), threads=0)
    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in inputs.items()}
    engine.bind(arrays)
    outputs = engine.run()
    assert list(manifest.outputs) == list(graph_io(STEP_GRAPH, weights.temporal)[1])
    for name, reference in zip(manifest.outputs, expected):
        np.testing.assert_allclose(
            outputs[name], reference.numpy(), atol=1e-3 if name == "joints" else 1e-3 * float(reference.abs().max())
        )
    joints = outputs["joints"].copy()
    arrays["frame"][:] = 255 - arrays["frame"]  # bound arrays are read again at every run
    assert np.abs(engine.run()["joints"] - joints).max() > 1e-3


def test_auto_falls_back_to_the_next_backend(monkeypatch):
    def missing():
        raise ImportError("No module named 'it'")

    assert choose_backend("auto").name == "openvino"
    monkeypatch.setattr(OPENVINO, "version", missing)
    assert choose_backend("auto").name == "onnxruntime"
    with pytest.raises(EgostreamError, match="backend openvino is not installed .*Install it: pip install openvino"):
        choose_backend("openvino")
    monkeypatch.setattr(ONNXRUNTIME, "version", missing)
    with pytest.raises(EgostreamError, match="no backend is installed.*pip install onnxruntime"):
        choose_backend("auto")


def test_unknown_and_missing_backends():
    with pytest.raises(EgostreamError, match="no backend 'tensorflow'; choose one of openvino, onnxruntime"):
        backend("tensorflow")
