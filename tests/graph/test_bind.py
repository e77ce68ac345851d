"""Topologies and tensors bound to graphs: the shipped ones, parity with PyTorch, and what does not fit."""

from __future__ import annotations

import functools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.external_data_helper import set_external_data

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import sha256_file
from egostream.graph.bind import bind_graph, shipped_topologies
from egostream.graph.ports import COMPOSED_OF, GRAPHS, MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH, graph_io
from egostream.graph.weights import folder_id, load_tensors, load_weights, save_weights
from egostream.supervise.prepare import prepare_run
from tools.network import NetworkSpec, build_network
from tools.network.build import load_network
from tools.network.export import example_inputs, export_graph, export_module, export_topologies


@pytest.fixture(scope="module")
def bound(weights_of):
    """Bound ONNX graphs, made once per kind of weights."""
    made = {}

    def make(kind, graph):
        return made.setdefault((kind, graph), bind_graph(weights_of(kind), graph))

    return make


@pytest.fixture(scope="module")
def network_of(weights_of):
    """PyTorch's networks, loaded once per kind of weights."""
    return functools.cache(lambda kind: load_network(weights_of(kind)))


#: The causal form differs from the window's in these alone.
CAUSAL = ("temporal", STEP_GRAPH, MOTION_GRAPH)


@pytest.mark.parametrize(
    ("kind", "graph"),
    [(kind, graph) for kind in ("window", "released") for graph in (*GRAPHS, STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH)]
    + [("causal", graph) for graph in CAUSAL],
)
def test_graphs_equal_pytorch(bound, network_of, kind, graph):
    """The exported graphs, run by a library that is neither our default backend nor PyTorch, at two batch sizes."""
    network = network_of(kind)
    session = onnxruntime.InferenceSession(bound(kind, graph).SerializeToString(), providers=["CPUExecutionProvider"])
    names = graph_io(graph, network.spec.temporal)
    assert ([p.name for p in session.get_inputs()], [p.name for p in session.get_outputs()]) == tuple(map(list, names))
    for batch in (1, 3):
        torch.manual_seed(batch)
        inputs = example_inputs(graph, network.spec, batch)
        with torch.no_grad():
            expected = export_module(network, graph)(*inputs.values())
        found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        for value, reference in zip(found, expected if isinstance(expected, tuple) else (expected,)):
            scale = max(1.0, float(reference.abs().max()))
            np.testing.assert_allclose(value, reference.numpy(), atol=2e-5 * scale)


def test_the_uint8_input_meets_a_cast_first(bound):
    """TensorRT takes uint8 only into a Cast."""
    for graph in ("heatmap", "backbone", *COMPOSED_OF):
        consumers = [node.op_type for node in bound("window", graph).graph.node if "frame" in node.input]
        assert consumers and set(consumers) == {"Cast"}


def test_shipped_topologies_are_those_of_the_network():
    """Nobody changed the network and forgot to export it."""
    fresh = export_topologies(build_network(NetworkSpec(temporal="window")))
    assert_shipped("window", fresh)
    fresh["temporal"] = export_graph(
        build_network(NetworkSpec(temporal="causal")), "temporal"
    )  # the only one that differs
    assert_shipped("causal", fresh)


def assert_shipped(temporal, fresh):
    assert set(fresh) == set(GRAPHS)
    for graph, model in fresh.items():
        made = onnx.load_from_string(model)
        shipped = onnx.load(shipped_topologies("paper", temporal) / f"{graph}.onnx", load_external_data=False)
        assert [n.op_type for n in made.graph.node] == [n.op_type for n in shipped.graph.node]
        assert {i.name: list(i.dims) for i in made.graph.initializer} == {
            i.name: list(i.dims) for i in shipped.graph.initializer
        }


def resaved(folder, change):
    """The same weights with other decoder tensors, saved whole by whoever changed them."""
    weights = load_weights(folder)
    tensors = {graph: load_tensors(weights, graph) for graph in GRAPHS}
    change(tensors["decoder"])
    topologies = {graph: (folder / f"{graph}.onnx").read_bytes() for graph in GRAPHS}
    return save_weights(folder.with_name("resaved"), weights, tensors, topologies)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("motion_proj.weight"), "lacks the tensor motion_proj.weight"),
        (
            lambda t: t.update({"joint_queries": np.zeros((15, 64), np.float32)}),
            r"joint_queries has shape \[15, 64\], the graph wants \[15, 128\]",
        ),
    ],
)
def test_a_missing_or_wrongly_shaped_tensor_stops_a_run(copied_weights, change, message):
    weights = resaved(copied_weights, change)
    with pytest.raises(EgostreamError, match=message):
        prepare_run(RunConfig(weights=str(weights.folder), backend="onnxruntime"), print)


@pytest.mark.parametrize("where", ["node", "sub-graph"])
def test_a_constant_that_names_another_file_is_refused(copied_weights, where):
    """Whatever reads such a graph would read the named file, wherever that lies."""
    path = copied_weights / "decoder.onnx"
    model = onnx.load(path, load_external_data=False)
    secret = onnx.TensorProto(name="secret", data_type=onnx.TensorProto.UINT8, dims=[5], raw_data=b"12345")
    set_external_data(secret, location="../../etc/passwd")
    secret.ClearField("raw_data")
    constant = onnx.helper.make_node("Constant", [], ["unused"], value=secret)
    if where == "node":
        model.graph.node.insert(0, constant)
    else:
        inner = onnx.helper.make_graph([constant], "inner", [], [])
        model.graph.node.insert(0, onnx.helper.make_node("If", ["tokens"], [], then_branch=inner, else_branch=inner))
    path.write_bytes(model.SerializeToString())
    record = copied_weights / "weights.json"
    weights = json.loads(record.read_text())
    weights["files"]["decoder.onnx"] = sha256_file(path)
    weights["id"] = folder_id(weights["files"])
    record.write_text(json.dumps(weights))
    with pytest.raises(EgostreamError, match="names another file in one of its constants"):
        bind_graph(load_weights(copied_weights), "decoder")
