"""int8 graphs: scales, where their nodes are, and the poses of an int8 engine against the fp32 network's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from egostream.engine.backends import backend
from egostream.engine.build import available_precisions, build_engine, wanted_fields
from egostream.engine.load import check_engine, load_engine
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.int8 import (
    FLOAT_LAYERS,
    LEVELS,
    best_scale,
    prepared,
    quantizable_layers,
    quantize_weight,
    quantized,
)
from egostream.graph.ports import STEP_GRAPH
from egostream.graph.rewrite import initializers
from egostream.graph.scales import load_quantization

RNG = np.random.default_rng(0)


def test_int8_weights_are_within_half_a_step():
    weight = RNG.normal(size=(8, 5, 3, 3)).astype(np.float32) * 10.0 ** RNG.uniform(-4, 1, (8, 1, 1, 1)).astype(
        np.float32
    )
    for axis in (0, 1):
        whole, scale = quantize_weight(weight, axis)
        assert whole.dtype == np.int8 and np.abs(whole).max() == LEVELS
        np.testing.assert_array_equal(scale, scale.astype(np.float16).astype(np.float32))
        steps = scale.reshape([-1 if i == axis else 1 for i in range(4)])
        assert (np.abs(whole * steps - weight) <= steps * 0.5001).all()


def test_the_best_scale_clips_outliers():
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 1, 20000)
    assert 0.8 < best_scale(values, np.abs(values).max()) * LEVELS / np.abs(values).max() < 1 + 1e-9
    # n values of spread 1 and one of 40, clipped at c: (c / 127)^2 / 12 + (40 - c)^2 / n
    # is least at c = 40 / (1 + n / (12 * 127^2))
    spiked = np.append(rng.normal(size=200_000), 40.0)
    assert best_scale(spiked, 40.0) * LEVELS == pytest.approx(40 / (1 + 200_000 / (12 * LEVELS**2)), abs=1.5)
    assert best_scale(np.zeros(5), 0.0) > 0


def quantised_at(made: dict, name: str) -> bool:
    """Whether a value is a dequantised one, or the largest of some."""
    node = made[name]
    return node.op_type == "DequantizeLinear" or (
        node.op_type == "MaxPool" and made[node.input[0]].op_type == "DequantizeLinear"
    )


def test_residual_blocks_of_an_int8_graph_move_bytes_alone(quantised_weights):
    """What is summed is what the block's first layer reads, quantised once; the pool rounds before it picks."""
    table, model = load_quantization(quantised_weights), prepared(bind_graph(quantised_weights, "backbone"))
    small = quantized(model, table.scales["backbone"], unsigned=True)
    onnx.checker.check_model(small)
    made = {name: node for node in small.graph.node for name in node.output}
    sums = [node for node in small.graph.node if node.op_type == "Add" and made[node.input[0]].op_type == "Conv"]
    by_kind = Counter(tuple(sorted(made[name].op_type for name in node.input)) for node in sums)
    assert by_kind == {
        ("Conv", "DequantizeLinear"): 12,
        ("Conv", "Conv"): 4,
    }  # ResNet-50: 16 blocks, four of which change the size
    (pool,) = [node for node in small.graph.node if node.op_type == "MaxPool"]
    assert made[pool.input[0]].op_type == "DequantizeLinear"
    stored = initializers(small)
    quantisers = [node for node in small.graph.node if node.op_type == "QuantizeLinear"]
    assert len({node.input[0] for node in quantisers}) == len(quantisers)
    for node in quantisers:
        assert stored[node.input[2]].dtype == (np.uint8 if made[node.input[0]].op_type == "Relu" else np.int8)
    signed = quantized(model, table.scales["backbone"])
    assert not any(value.dtype == np.uint8 for value in initializers(signed).values())


def test_unsigned_steps_are_half_as_wide_and_reach_as_far():
    """Of a Relu's output: a graph of one layer, computed by hand."""
    rng = np.random.default_rng(0)
    weight, x = rng.normal(0, 1, (8, 4)).astype(np.float32), rng.normal(0, 1, (1, 8)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    whole, scales = quantize_weight(weight, 1)
    for unsigned, step, top in ((False, 1.5 / 127, 127), (True, 1.5 / 255, 255)):
        small = quantized(model, {"r": 1.5 / 127}, unsigned=unsigned)
        session = onnxruntime.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
        rounded = np.rint(np.maximum(x, 0) / np.float32(step)).clip(0, top) * step
        np.testing.assert_allclose(session.run(["y"], {"x": x})[0], rounded @ (whole * scales), rtol=1e-4, atol=1e-4)


def test_an_int8_graph_has_pairs_at_every_chosen_layer(quantised_weights):
    table, model = load_quantization(quantised_weights), prepared(bind_graph(quantised_weights, "heatmap"))
    small = quantized(model, table.scales["heatmap"])
    onnx.checker.check_model(small)
    made = {name: node for node in small.graph.node for name in node.output}
    chosen = quantizable_layers(model)
    assert len(chosen) == 30 and not any(name.startswith(FLOAT_LAYERS) for name in chosen)
    for name in chosen:
        (node,) = [node for node in small.graph.node if node.input[1:2] == [f"{name}:dequantized"]]
        assert quantised_at(made, node.input[0]) and made[node.input[1]].op_type == "DequantizeLinear"
    spared = quantized(model, table.scales["heatmap"], kept={"heatmap/network.ups.0.weight:0"})
    assert any("heatmap/network.ups.0.weight:0" in node.input for node in spared.graph.node)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_int8_streams_the_poses_of_fp32(quantised_weights, streamed, tmp_path, name):
    """The engine that --precision int8 runs, over a stream: another number of every joint, but hardly another pose."""
    _, stream, expected, given = streamed
    runner = backend(name)
    assert "int8" in available_precisions(quantised_weights, runner)
    path = build_engine(quantised_weights, STEP_GRAPH, runner, "int8", 1, tmp_path)
    engine, manifest = load_engine(path, wanted_fields(quantised_weights, STEP_GRAPH, runner, "int8", 1), 0)
    assert manifest.quantization == load_quantization(quantised_weights).digest
    moved = []
    for inputs, joints in zip(given, expected):
        engine.bind(inputs)
        moved.append(1000 * np.linalg.norm(engine.run()["joints"][0] - joints, axis=-1))
    spread = 1000 * np.linalg.norm(expected - np.mean(expected, 0), axis=-1).mean()  # of an untrained network's poses
    assert 0.01 < np.mean(moved) < spread / 4
    other = {**wanted_fields(quantised_weights, STEP_GRAPH, runner, "int8", 1), "quantization": "0" * 64}
    with pytest.raises(EgostreamError, match="built for quantization .* Rebuild it"):
        check_engine(path, other)
