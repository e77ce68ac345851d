"""fp16 and bf16 graphs on a CPU, rounding as their tensors' types say.

ONNX Runtime's CPU kernels compute such graphs in fp32 and take out the casts in between, so that nothing is rounded but
weights. Here every value of a small type is rounded by arithmetic that no optimiser removes (Veltkamp's splitting: with
c = (2^s + 1) x, c - (c - x) is x rounded to 24 - s bits). Sums inside an operator stay fp32; the small exponent range
of fp16 is not emulated.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array, to_array

from egostream.graph.rewrite import set_graph

#: Bits of fp32's significand that each type lacks.
LOST_BITS = {TensorProto.FLOAT16: 13, TensorProto.BFLOAT16: 16}
#: Operators that only move their inputs about: what they make is rounded already.
MOVES = {
    "Reshape",
    "Transpose",
    "Slice",
    "Concat",
    "Gather",
    "Unsqueeze",
    "Squeeze",
    "Split",
    "Expand",
    "MaxPool",
    "Relu",
    "Identity",
}


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """An fp32 graph that rounds where ``model`` has fp16 or bf16 values. ``model`` is left as it is."""
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {
        info.name: info.type.tensor_type.elem_type for info in (*inferred.graph.value_info, *inferred.graph.output)
    }
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    tensors = [widened(tensor) for tensor in copy.graph.initializer]
    tensors += [from_array(np.asarray(2**bits + 1, np.float32), f"split:{kind}") for kind, bits in LOST_BITS.items()]
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        small = [name for name in node.output if types.get(name) in LOST_BITS]
        if node.op_type == "Cast" and small:
            nodes += rounding(node.input[0], small[0], types[small[0]])
        elif node.op_type == "Cast" and types.get(node.input[0]) in LOST_BITS:
            nodes.append(helper.make_node("Identity", node.input[:1], node.output[:1]))
        elif node.op_type in MOVES:
            nodes.append(node)
        else:
            node.output[:] = [f"{name}:exact" if name in small else name for name in node.output]
            nodes.append(node)
            for name in small:
                nodes += rounding(f"{name}:exact", name, types[name])
    set_graph(copy, nodes, tensors)
    return copy


def widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """An fp16 or bf16 tensor with its values in fp32; any other tensor itself."""
    value = to_array(tensor)
    return from_array(value.astype(np.float32), tensor.name) if tensor.data_type in LOST_BITS else tensor


def rounding(source: str, target: str, kind: int) -> list[onnx.NodeProto]:
    """Nodes that round the value ``source`` to an ONNX type and call the result ``target``: Veltkamp's splitting."""
    return [
        helper.make_node("Mul", [source, f"split:{kind}"], [f"{target}:c"]),
        helper.make_node("Sub", [f"{target}:c", source], [f"{target}:d"]),
        helper.make_node("Sub", [f"{target}:c", f"{target}:d"], [target]),
    ]
