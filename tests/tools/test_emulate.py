"""Rounding emulated on the CPU, against NumPy's own."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_graphs import RNG, run

from tools.engines.emulate import emulated


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
