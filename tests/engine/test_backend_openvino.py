"""OpenVINO: names of outputs, and bf16."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper

from egostream.engine.backend_openvino import BACKEND as OPENVINO
from egostream.engine.build import ensure_engines
from egostream.engine.load import load_engine
from egostream.graph.ports import STEP_GRAPH


@pytest.mark.parametrize("inner", ["a", "joints_", "decoder.val_535", "val_1", "zzz", "x.y", "out", "0"])
def test_an_output_is_called_as_the_graph_calls_it(inner, tmp_path):
    """OpenVINO gives a result the name of the value before it as well, and lists the two in no order."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("frame", "joints")]
    nodes = [helper.make_node("Neg", ["frame"], [inner]), helper.make_node("Identity", [inner], ["joints"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    inputs, outputs = OPENVINO.build(model, "fp32", 1, tmp_path / "e.blob")
    assert (list(inputs), list(outputs)) == (["frame"], ["joints"])
    engine = OPENVINO.load(tmp_path / "e.blob", SimpleNamespace(outputs=outputs, precision="fp32"), 0)
    engine.bind({"frame": np.array([[1.0, -2.0]], np.float32)})
    assert engine.run()["joints"].tolist() == [[-1.0, 2.0]]


@pytest.mark.skipif("bf16" not in OPENVINO.precisions(), reason="this processor has no bf16")
def test_bf16_is_really_bf16_and_close(weights_of):
    weights = weights_of("window")
    outputs = {}
    for precision in ("fp32", "bf16"):
        engine, manifest = load_engine(
            ensure_engines(weights, [STEP_GRAPH], OPENVINO, precision, 1)[0].path, {"precision": precision}, threads=0
        )
        rng = np.random.default_rng(0)
        engine.bind(
            {
                name: (rng.integers(0, 256, shape).astype(dtype) if dtype == "uint8" else np.ones(shape, dtype))
                for name, (dtype, shape) in manifest.inputs.items()
            }
        )
        outputs[precision] = {name: value.copy() for name, value in engine.run().items()}
    difference = np.abs(outputs["bf16"]["joints"] - outputs["fp32"]["joints"]).max()
    assert 1e-5 < difference < 0.15  # bf16 keeps eight bits; untrained weights magnify what is lost
