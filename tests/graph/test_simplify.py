"""Simplified graphs, against the graphs they were made of."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from onnx_graphs import random_inputs, run

from egostream.graph.bind import bind_graph
from egostream.graph.int8 import prepared
from egostream.graph.ports import GRAPHS
from egostream.graph.rewrite import initializers
from egostream.graph.simplify import with_norms_folded


@pytest.fixture(scope="module")
def bound(thin_weights_of):
    made = {}
    return lambda kind, graph: made.setdefault((kind, graph), bind_graph(thin_weights_of(kind), graph))


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_folding_changes_nothing_but_the_graph(bound, kind, graph):
    model = bound(kind, graph)
    before = model.SerializeToString()
    small = with_norms_folded(model)
    assert model.SerializeToString() == before
    kinds = Counter(node.op_type for node in small.graph.node)
    assert kinds["BatchNormalization"] == (graph == "backbone")  # the last one follows a linear layer
    stored = initializers(small)
    assert not any(node.op_type in ("Transpose", "Split") and node.input[0] in stored for node in small.graph.node)
    inputs = random_inputs(model)
    for value, expected in zip(run(small, inputs), run(model, inputs)):
        np.testing.assert_allclose(value, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_convolutions_of_joined_inputs_are_taken_apart(bound):
    model = bound("window", "heatmap")
    apart = prepared(model)
    made = {name: node.op_type for node in apart.graph.node for name in node.output}
    assert "Concat" not in {made.get(node.input[0]) for node in apart.graph.node if node.op_type == "Conv"}
    inputs = random_inputs(model)
    for value, expected in zip(run(apart, inputs), run(model, inputs)):
        np.testing.assert_allclose(value, expected, atol=1e-4)
