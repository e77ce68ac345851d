"""Folded, fp16, bf16 and int8 graphs: against ONNX Runtime, NumPy's own rounding, and the fp32 network; TensorRT's compiler."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter

import cv2
import ml_dtypes
import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT
from onnx import TensorProto, helper

from egostream.config import RunConfig
from egostream.engine.backend_tensorrt import BACKEND as TENSORRT
from egostream.engine.backends import backend
from egostream.engine.build import available_precisions, build_engine, graph_for, wanted_fields
from egostream.engine.choose import choose_precision
from egostream.engine.load import check_engine, load_engine, read_manifest
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.default_weights import default_weights
from egostream.graph.gpu_form import as_gpu_form
from egostream.graph.half_precision import OUTPUT_LAYERS, WIDE_OPERATORS, in_half_precision
from egostream.graph.int8 import LEVELS, FLOAT_LAYERS, best_scale, quantizable_layers, prepared, quantize_weight, quantized
from egostream.graph.ports import GRAPHS, STEP_GRAPH
from egostream.graph.rewrite import initializers
from egostream.graph.scales import FILE, Quantization, load_quantization
from egostream.graph.simplify import with_norms_folded
from egostream.graph.weights import load_weights
from tools import quantize
from tools.data.frames import SAMPLE, read_frames
from tools.engines.emulate import emulated

RNG = np.random.default_rng(0)


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = {port.name for port in session.get_inputs()}
    return session.run(None, {name: value for name, value in inputs.items() if name in names})


def random_inputs(model, batch=2):
    kinds = {
        TensorProto.UINT8: lambda s: RNG.integers(0, 256, s).astype(np.uint8),
        TensorProto.BOOL: lambda s: RNG.random(s) < 0.8,
    }
    inputs = {}
    for port in model.graph.input:
        shape = [batch] + [d.dim_value for d in port.type.tensor_type.shape.dim][1:]
        inputs[port.name] = kinds.get(port.type.tensor_type.elem_type, lambda s: RNG.normal(size=s).astype(np.float32))(
            shape
        )
    return inputs


@pytest.fixture(scope="module")
def bound(weights_of):
    made = {}
    return lambda kind, graph: made.setdefault((kind, graph), bind_graph(weights_of(kind), graph))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The shipped weights with a table of their own, made from a few frames of the sample, as a user would."""
    folder = tmp_path_factory.mktemp("quantised") / "weights"
    shutil.copytree(default_weights().folder, folder)
    (folder / FILE).unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            quantize, "layer_costs", lambda *_: pytest.fail("every layer had to be measured: int8 costs too much")
        )
        quantize.main([str(folder), "--count", "6"])
    return load_weights(folder)


# Folding


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


# fp16 and bf16


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_emulated_rounding_is_numpys(precision, dtype):
    kind = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}[precision]
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=kind),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT),
    ]
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000])] for name in "xy"]
    model = helper.make_model(
        helper.make_graph(nodes, "g", *ports), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    x = (RNG.normal(size=1000) * 10.0 ** RNG.uniform(0, 3, 1000)).astype(np.float32)
    x = np.where(np.abs(x) > 1e-3, x, 1).astype(np.float32)  # below 6e-5 fp16 has fewer bits
    (found,) = run(emulated(model), {"x": x})
    np.testing.assert_array_equal(found, x.astype(dtype).astype(np.float32))


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


@pytest.fixture(scope="module")
def streamed():
    """The shipped weights over the first frames of the sample: images, fp32 joints, and what the step graph was given."""
    weights = default_weights()
    images, fps = read_frames(SAMPLE, weights, limit=6)
    stream = quantize.Stream(weights, images, fps)
    return weights, stream, *stream.run()


def test_fp16_moves_the_joints_by_less_than_two_millimetres(streamed):
    weights, _, expected, given = streamed
    model = emulated(TENSORRT.graph(bind_graph(weights, STEP_GRAPH), "fp16"))
    moved = 1000 * np.array(
        [np.linalg.norm(run(model, inputs)[0][0] - e, axis=-1) for inputs, e in zip(given, expected)]
    )
    assert 0 < moved.mean() < 2 and moved.max() < 10


# int8


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
    # n values of spread 1 and one of 40, clipped at c: (c / 127)^2 / 12 + (40 - c)^2 / n is least at c = 40 / (1 + n / (12 * 127^2))
    spiked = np.append(rng.normal(size=200_000), 40.0)
    assert best_scale(spiked, 40.0) * LEVELS == pytest.approx(40 / (1 + 200_000 / (12 * LEVELS**2)), abs=1.5)
    assert best_scale(np.zeros(5), 0.0) > 0


def quantised_at(made: dict, name: str) -> bool:
    """Whether a value is a dequantised one, or the largest of some."""
    node = made[name]
    return node.op_type == "DequantizeLinear" or (
        node.op_type == "MaxPool" and made[node.input[0]].op_type == "DequantizeLinear"
    )


def test_residual_blocks_of_an_int8_graph_move_bytes_alone(copy):
    """What is summed is what the block's first layer reads, quantised once; the pool rounds before it picks."""
    table, model = load_quantization(copy), prepared(bind_graph(copy, "backbone"))
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
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    whole, scales = quantize_weight(weight, 1)
    for unsigned, step, top in ((False, 1.5 / 127, 127), (True, 1.5 / 255, 255)):
        small = quantized(model, {"r": 1.5 / 127}, unsigned=unsigned)
        session = onnxruntime.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
        rounded = np.rint(np.maximum(x, 0) / np.float32(step)).clip(0, top) * step
        np.testing.assert_allclose(session.run(["y"], {"x": x})[0], rounded @ (whole * scales), rtol=1e-4, atol=1e-4)


def test_an_int8_graph_has_pairs_at_every_chosen_layer(copy):
    table, model = load_quantization(copy), prepared(bind_graph(copy, "heatmap"))
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
def test_int8_streams_the_poses_of_fp32(copy, streamed, tmp_path, name):
    """The engine that --precision int8 runs, over a stream: another number of every joint, but hardly another pose."""
    _, stream, expected, given = streamed
    runner = backend(name)
    assert "int8" in available_precisions(copy, runner)
    path = build_engine(copy, STEP_GRAPH, runner, "int8", 1, tmp_path)
    engine, manifest = load_engine(path, wanted_fields(copy, STEP_GRAPH, runner, "int8", 1), 0)
    assert manifest.quantization == load_quantization(copy).digest
    moved = []
    for inputs, joints in zip(given, expected):
        engine.bind(inputs)
        moved.append(1000 * np.linalg.norm(engine.run()["joints"][0] - joints, axis=-1))
    assert 0.01 < np.mean(moved) < 6
    other = {**wanted_fields(copy, STEP_GRAPH, runner, "int8", 1), "quantization": "0" * 64}
    with pytest.raises(EgostreamError, match="built for quantization .* Rebuild it"):
        check_engine(path, other)


@pytest.mark.parametrize(
    ("preset", "precision", "quantised", "expected"),
    [
        ("performance", "auto", True, "int8"), ("performance", "auto", False, "best"), ("balanced", "auto", True, "int8"),
        ("balanced", "auto", False, "best"),
        ("accuracy", "auto", True, "fp32"), ("accuracy", "int8", True, "int8"),
    ],
)  # fmt: skip
def test_presets_choose_the_precision_unless_it_is_named(copy, weights_of, preset, precision, quantised, expected):
    runner = backend("openvino")
    config = RunConfig(preset=preset, precision=precision)
    chosen = choose_precision(config, copy if quantised else weights_of("window"), runner)
    assert chosen == (runner.precisions()[0] if expected == "best" else expected)


def test_frames_of_another_camera_are_refused_at_the_first(weights_of, tmp_path, capsys):
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"{n}.jpg"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(EgostreamError, match="it is 64x48"):
        read_frames(tmp_path, weights_of("window"))
    assert not capsys.readouterr().err


def test_int8_is_only_chosen_where_it_pays(copy):
    """ONNX Runtime's takes longer than its fp32."""
    assert choose_precision(RunConfig(), copy, backend("onnxruntime")) == "fp32"
    assert choose_precision(RunConfig(precision="int8"), copy, backend("onnxruntime")) == "int8"


def test_layers_that_cost_too_much_are_kept_and_named(copy, monkeypatch):
    """The loop that leaves layers out, on costs made up: the dearest go first, twice as many each time, until it is good."""
    names = [f"backbone/layer{i}.weight" for i in range(10)]
    monkeypatch.setattr(quantize, "layer_costs", lambda *_: {name: 10 - i for i, name in enumerate(names)})
    monkeypatch.setattr(quantize, "with_qdq_nodes", lambda model, scales, kept: kept)
    stream = msgspec.defstruct("S", [])()

    class Fake:
        def run(self, kept):
            return np.full((2, 15, 3), 0.001 * (6 - len(kept)) / np.sqrt(3)), []

    kept, moved = quantize.choose_layers(Fake(), None, {}, np.zeros((2, 15, 3)), [stream] * 4, max_mm=2.5)
    assert kept == names[:4] and moved.mean() == pytest.approx(2.0)


def test_bad_tables_are_refused(copy, weights_of, tmp_path):
    with pytest.raises(EgostreamError, match=r"have no int8.json.*tools/quantize.py"):
        load_quantization(weights_of("window"))
    assert "int8" not in available_precisions(weights_of("window"), backend("openvino"))
    path = copy.folder / FILE
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:100])
        with pytest.raises(EgostreamError, match="is malformed"):
            load_quantization(copy)
        table = json.loads(whole)
        for scales, message in (
            ({"step": table["scales"]["step"]}, "lacks the backbone graph"),
            (table["scales"] | {"step": {"relu": -1.0}}, "the scale of relu is no positive number"),
        ):
            path.write_text(json.dumps({**table, "scales": scales}))
            with pytest.raises(EgostreamError, match=message):
                load_quantization(copy)
        path.write_text(json.dumps({**table, "weights_id": "f" * 64}))
        with pytest.raises(EgostreamError, match="is of weights ffffffffffff"):
            load_quantization(copy)
    finally:
        path.write_bytes(whole)
    one = Quantization(weights_id="a", scales={"step": {"x": 0.5}})
    assert one.digest != msgspec.structs.replace(one, kept=["y"]).digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "is not a weights folder"),
        (["--count", "1"], "at least 2 frames"),
        (["--frames", "no-such.mp4"], "no-such.mp4"),
    ],
)
def test_quantize_names_bad_input(arguments, message):
    done = subprocess.run([sys.executable, "tools/quantize.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


# TensorRT's compiler, which needs no GPU


needs_rtx = pytest.mark.skipif(not importlib.util.find_spec("tensorrt_rtx"), reason="pip install tensorrt-rtx")


@needs_rtx
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_tensorrt_compiles_every_graph_of_the_shipped_weights(copy, precision, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(TENSORRT, "target", "ampere+")
    monkeypatch.setattr(TENSORRT, "progress", lambda *step: seen.append(step) or True)
    for graph in GRAPHS:
        path = build_engine(copy, graph, TENSORRT, precision, 4, tmp_path)
        manifest = read_manifest(path)
        assert path.stat().st_size > 1e6 and manifest.backend_version.startswith("tensorrt_rtx ")
        assert (manifest.device, manifest.precision, manifest.batch) == ("NVIDIA ampere+", precision, 4)
        ports = as_gpu_form(bind_graph(copy, graph)).graph
        assert set(manifest.inputs) == {p.name for p in ports.input} and list(manifest.outputs) == [
            p.name for p in ports.output
        ]
        shapes = {name: shape for name, (_, shape) in (manifest.inputs | manifest.outputs).items()}
        assert shapes.pop("ring", [-1])[0] == -1 and all(shape[0] == 4 for shape in shapes.values())
        with pytest.raises(EgostreamError, match="this run has fp9"):
            check_engine(path, wanted_fields(copy, graph, TENSORRT, precision, 4) | {"precision": "fp9"})
    assert {"Building engine"} & {phase for phase, _, _ in seen}


@needs_rtx
@pytest.mark.parametrize("graph", GRAPHS)
def test_tensorrt_compiles_the_window_form(weights_of, graph, tmp_path, monkeypatch):
    monkeypatch.setattr(TENSORRT, "target", "ampere+")
    path = build_engine(weights_of("window"), graph, TENSORRT, "fp16", 1, tmp_path)
    assert path.stat().st_size > 1e5
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(EgostreamError, match="SHA-256"):
        check_engine(path, {})


@needs_rtx
def test_tensorrt_targets_and_refusals(weights_of, tmp_path, monkeypatch):
    monkeypatch.setattr(TENSORRT, "target", "sm89")
    path = build_engine(weights_of("window"), "decoder", TENSORRT, "fp16", 1, tmp_path)
    assert read_manifest(path).device == "NVIDIA sm89"
    odd = graph_for(weights_of("window"), "decoder", TENSORRT, "fp32")
    odd.graph.node[3].op_type = "NoSuchOperator"
    with pytest.raises(EgostreamError, match="tensorrt cannot compile the decoder graph.*NoSuchOperator"):
        build_engine(weights_of("window"), "decoder", TENSORRT, "fp32", 1, tmp_path, odd)
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
