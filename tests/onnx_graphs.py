"""ONNX graphs run by ONNX Runtime, on inputs made up."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto

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
