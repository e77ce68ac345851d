"""Graphs in parts: where they are cut, and that the parts together are the whole, by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.backends import backend
from egostream.engine.build import graph_for
from egostream.graph.parts import split_graph
from egostream.graph.ports import MOTION_GRAPH


def run_whole(model, feed: dict) -> dict[str, np.ndarray]:
    names = [port.name for port in model.graph.output]
    return dict(zip(names, ONNXRUNTIME.session(model.SerializeToString()).run(names, feed)))


def run_parts(models, feed: dict) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    for model in models:
        made = run_whole(model, {port.name: (feed | made)[port.name] for port in model.graph.input})
    return made


@pytest.mark.parametrize(("kind", "precision"), [("window", "fp32"), ("causal", "fp32"), ("quantised", "int8")])
def test_the_parts_of_the_motion_graph_are_the_whole(kind, precision, weights_of, request):
    weights = request.getfixturevalue("quantised_weights") if kind == "quantised" else weights_of(kind)
    model = graph_for(weights, MOTION_GRAPH, backend("openvino"), precision)
    parts = split_graph(model)
    assert len(parts) == 4
    for part, (channels, side) in zip(parts, ((256, 64), (512, 32), (1024, 16))):
        (port,) = part.graph.output
        assert [d.dim_value for d in port.type.tensor_type.shape.dim][1:] == [channels, side, side]
        assert port.type.tensor_type.elem_type == (TensorProto.UINT8 if precision == "int8" else TensorProto.FLOAT)
    assert sum(len(part.graph.node) for part in parts) == len(model.graph.node)
    rng, kinds = (
        np.random.default_rng(0),
        {TensorProto.UINT8: np.uint8, TensorProto.FLOAT: np.float32, TensorProto.BOOL: bool},
    )
    feed = {}
    for port in model.graph.input:
        shape = [2, *(d.dim_value for d in port.type.tensor_type.shape.dim[1:])]
        feed[port.name] = (rng.random(shape) * (255 if port.name == "frame" else 2)).astype(
            kinds[port.type.tensor_type.elem_type]
        )
    expected = run_whole(model, feed)
    found = run_parts(parts, feed)
    assert list(found) == list(expected)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4 * np.abs(expected[name]).max())


def drawn(*nodes: tuple[str, str, str], outputs="z", name=MOTION_GRAPH):
    """A graph of sums and negations: (operator, its inputs, its output), all letters; capital ones are weights.

    W is of the second stage, V of the first.
    """
    names = {"W": "backbone/resnet.layer2.0.conv1.weight", "V": "backbone/resnet.layer1.0.conv1.weight"}
    made = [helper.make_node(kind, [names.get(n, n) for n in given], [output]) for kind, given, output in nodes]
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 2]) for n in group] for group in ("x", outputs)]
    weights = [helper.make_tensor(one, TensorProto.FLOAT, [2], [1.0, 2.0]) for one in names.values()]
    graph = helper.make_graph(made, name, *ports, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    ("nodes", "sizes"),
    [
        ([("Add", "xV", "a"), ("Add", "aW", "z")], [1, 1]),
        ([("Add", "xV", "a"), ("Neg", "a", "b"), ("Add", "aV", "c"), ("Add", "bc", "d"), ("Add", "dW", "z")], [4, 1]),
        ([("Add", "xV", "a"), ("Neg", "a", "b"), ("Add", "aW", "c"), ("Add", "bc", "z")], [1, 3]),  # inside a branch
        (
            [("Add", "xV", "a"), ("Neg", "a", "b"), ("Add", "bW", "c"), ("Add", "ac", "z")],
            [1, 3],
        ),  # a is read again at the end
        ([("Add", "xW", "a"), ("Neg", "a", "z")], [2]),  # there is nothing before it
        ([("Add", "xV", "a"), ("Neg", "a", "z")], [2]),  # nor such a layer at all
    ],
)
def test_only_where_a_single_value_goes_on(nodes, sizes):
    model = drawn(*nodes)
    parts = split_graph(model)
    assert [len(part.graph.node) for part in parts] == sizes
    feed = {"x": np.array([[1, 2], [3, 5]], np.float32)}
    np.testing.assert_array_equal(run_parts(parts, feed)["z"], run_whole(model, feed)["z"])


def test_outputs_are_the_last_part_s():
    nodes = ("Add", "xV", "a"), ("Neg", "a", "y"), ("Add", "yV", "b"), ("Neg", "b", "c"), ("Add", "cW", "z")
    assert [len(part.graph.node) for part in split_graph(drawn(*nodes, outputs="yz"))] == [1, 4]
    assert len(split_graph(drawn(*nodes, outputs="z"))) == 2 and len(split_graph(drawn(*nodes, name="step"))) == 1
