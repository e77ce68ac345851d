"""Graphs in fp16 or bf16, for compilers that take the precision from the graph: TensorRT since version 11.

Convolutions and matrix products read and write the small type. Layer norms, softmax, sigmoid, means and the layers
whose outputs are published stay in fp32. So do sums with one side in fp32: the residual streams of the transformers.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array

from egostream.graph.rewrite import initializers, set_graph

#: Precision -> ONNX's type and NumPy's.
TYPES = {"fp16": (TensorProto.FLOAT16, np.float16), "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}
#: Operators that run in the small type if their weights may; every other one follows its widest input.
SMALL_OPERATORS = {"Conv", "MatMul", "Gemm"}
#: Operators that stay in fp32: they sum or exponentiate many values, where fp16 overflows and bf16 rounds too much.
WIDE_OPERATORS = {"LayerNormalization", "Softmax", "Sigmoid", "ReduceMean", "BatchNormalization"}
#: Names that weights of output layers begin with. What such a layer makes is published: a heatmap's logit, a joint's
#: metres.
OUTPUT_LAYERS = ("heatmap/network.head.", "decoder/pose_head.6.")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def in_half_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """A graph like ``model`` that computes in "fp16" or "bf16" where that is safe.

    Inputs and outputs keep their types. ``model`` is left as it is.
    """
    return HalfPrecisionRewriter(onnx.ModelProto.FromString(model.SerializeToString()), precision).run()


class HalfPrecisionRewriter:
    """Rewrites one graph in place; float inputs and outputs of the whole graph stay fp32."""

    def __init__(self, model: onnx.ModelProto, precision: str):
        self.model = model
        self.small, self.dtype = TYPES[precision]
        inferred = onnx.shape_inference.infer_shapes(model)
        known = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
        self.types = {info.name: info.type.tensor_type.elem_type for info in known}  # value -> its type so far
        self.values = initializers(model)
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []  # of the graph in the making
        self.cast: dict[tuple[str, int], str] = {}  # (value, type) -> name of the value in that type

    def is_float(self, name: str) -> bool:
        """Whether a value or an initialiser is of a floating-point type."""
        return self.tensors[name].data_type in FLOATS if name in self.tensors else self.types.get(name) in FLOATS

    def run(self) -> onnx.ModelProto:
        """Rewrite the graph node by node, and return the model."""
        for node in self.model.graph.node:
            wanted = self.type_of(node)
            # the other inputs of a Resize are fp32 by the standard
            data = node.input[:1] if node.op_type == "Resize" else node.input
            floats = [name for name in data if name and self.is_float(name)]
            if floats and node.op_type != "Cast":
                node.input[:] = [self.as_type(name, wanted) if name in floats else name for name in node.input]
                for name in node.output:
                    self.types[name] = wanted if self.types.get(name, TensorProto.FLOAT) in FLOATS else self.types[name]
            self.nodes.append(node)
        self.finish()
        return self.model

    def type_of(self, node: onnx.NodeProto) -> int:
        """ONNX's number of the type that a node computes in."""
        if node.op_type in WIDE_OPERATORS or any(name.startswith(OUTPUT_LAYERS) for name in node.input):
            return TensorProto.FLOAT
        if node.op_type in SMALL_OPERATORS or node.op_type == "DequantizeLinear":
            return self.small
        own = [self.types.get(name) for name in node.input if name not in self.tensors and self.is_float(name)]
        return TensorProto.FLOAT if TensorProto.FLOAT in own or not own else self.small

    def as_type(self, name: str, wanted: int) -> str:
        """The name under which a value can be read in this type; a cast is added when there is none yet."""
        have = self.tensors[name].data_type if name in self.tensors else self.types[name]
        if have == wanted:
            return name
        key = name, wanted
        if key not in self.cast:
            self.cast[key] = f"{name}:{TensorProto.DataType.Name(wanted).lower()}"
            if name in self.tensors:
                value = self.values[name].astype(self.dtype if wanted == self.small else np.float32)
                self.tensors[self.cast[key]] = from_array(value, self.cast[key])
            else:
                self.nodes.append(helper.make_node("Cast", [name], [self.cast[key]], to=wanted))
        return self.cast[key]

    def finish(self) -> None:
        """Cast outputs of the whole graph back to fp32, drop unused initialisers, and put all into the model."""
        renamed = {}
        for output in self.model.graph.output:
            if self.types.get(output.name) == self.small and output.type.tensor_type.elem_type == TensorProto.FLOAT:
                renamed[output.name] = f"{output.name}:small"
        for node in self.nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
        self.nodes += [
            helper.make_node("Cast", [small], [name], to=TensorProto.FLOAT) for name, small in renamed.items()
        ]
        used = {name for node in self.nodes for name in node.input}
        set_graph(self.model, self.nodes, [tensor for name, tensor in self.tensors.items() if name in used])
