"""fp16 and bf16 graphs: where the small types are, and what fp16 costs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_graphs import run

from egostream.engine.backend_tensorrt import TensorRTBackend
from egostream.graph.bind import bind_graph
from egostream.graph.half_precision import OUTPUT_LAYERS, WIDE_OPERATORS, in_half_precision
from egostream.graph.ports import STEP_GRAPH
from egostream.graph.simplify import with_norms_folded
from tools.engines.emulate import emulated


@pytest.fixture(scope="module")
def bound(thin_weights_of):
    made = {}
    return lambda kind, graph: made.setdefault((kind, graph), bind_graph(thin_weights_of(kind), graph))


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_small_types_where_they_are_safe(bound, kind, precision):
    model = with_norms_folded(bound(kind, STEP_GRAPH))
    small = in_half_precision(model, precision)
    onnx.checker.check_model(small)
    assert [(p.name, p.type) for p in small.graph.input] == [(p.name, p.type) for p in model.graph.input]
    assert [(p.name, p.type) for p in small.graph.output] == [(p.name, p.type) for p in model.graph.output]
    types = {tensor.name: tensor.data_type for tensor in small.graph.initializer}
    made = {name: node for node in small.graph.node for name in node.output}
    for node in small.graph.node:
        reads = [made[name] for name in node.input if name in made]
        if node.op_type in WIDE_OPERATORS or any(name.startswith(OUTPUT_LAYERS) for name in node.input):
            assert not any(types.get(name) in (TensorProto.FLOAT16, TensorProto.BFLOAT16) for name in node.input)
            assert not any(
                n.op_type == "Cast" and helper.get_attribute_value(n.attribute[0]) != TensorProto.FLOAT for n in reads
            )
        elif node.op_type == "Conv":
            assert types[node.input[1]] in (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def test_fp16_moves_the_joints_by_less_than_two_millimetres(streamed):
    weights, _, expected, given = streamed
    model = emulated(TensorRTBackend().graph(bind_graph(weights, STEP_GRAPH), "fp16"))
    moved = 1000 * np.array(
        [np.linalg.norm(run(model, inputs)[0][0] - e, axis=-1) for inputs, e in zip(given, expected)]
    )
    assert 0 < moved.mean() < 2 and moved.max() < 10
