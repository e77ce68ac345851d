"""int8 graphs: quantise and dequantise nodes (Q/DQ) at the inputs and weights of convolutions and matrix products.

Activations are quantised symmetrically per tensor, weights per output channel. Where a sum adds what a layer reads, as at
the end of a residual block, it adds the quantised value, and what is pooled is quantised before that: then a compiler can
fuse the sum into the convolution before it, and whole blocks move nothing but bytes. The scales of a weights folder lie in its
``int8.json``, written by tools/quantize.py.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from egostream.graph.rewrite import attributes, initializers, replace_graph
from egostream.graph.simplify import with_concatenations_split, with_norms_folded

LEVELS, UNSIGNED_LEVELS = 127, 255
#: Layers that stay in floating point: hardly any work, and what int8 costs in millimetres is mostly theirs.
PRECISE = ("decoder/", "heatmap/embedding.", "heatmap/network.head.")


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The equal graph whose layers are quantised."""
    return with_concatenations_split(with_norms_folded(model))


def layers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """What can be quantised in a prepared graph: nodes by the name of their weight, a matrix or kernel with its own input."""
    values = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm") or node.input[1].startswith(PRECISE):
            continue
        if values.get(node.input[1], 0) > 1 and node.input[0] not in values:
            found[node.input[1]] = node
    return found


def quantized(
    model: onnx.ModelProto, scales: dict[str, float], kept: set[str] = frozenset(), unsigned: bool = False
) -> onnx.ModelProto:
    """A graph with Q/DQ at every layer whose input has a scale, but for those ``kept``.

    unsigned: uint8 for what is never negative, which halves its steps; TensorRT has no such type.
    """
    return with_pairs(prepared(model), scales, kept, unsigned)


def with_pairs(
    model: onnx.ModelProto, scales: dict[str, float], kept: set[str], unsigned: bool = False
) -> onnx.ModelProto:
    """``quantized`` of a prepared graph, which is left as it is."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    chosen = [node for name, node in layers(model).items() if node.input[0] in scales and layer_name(name) not in kept]
    positive = nonnegative(model)
    pairs = Pairs(initializers(model), positive if unsigned else set())
    sources, products = {node.input[0] for node in chosen}, {node.output[0] for node in chosen}
    for node in model.graph.node:
        if node.op_type == "MaxPool" and node.output[0] in sources & positive:
            # The largest of rounded values is the largest one, rounded. Not where values are signed: what OpenVINO 2026.4
            # moves between their quantisation and a padded convolution comes out wrong, off its edges at least.
            node.input[0] = pairs.read(node.input[0], scales[node.output[0]])
            pairs.stand_in[node.output[0]] = node.output[0]
        elif node.op_type == "Add":
            node.input[:] = [pairs.read(name, scales[name]) if name in sources else name for name in node.input]
        elif node.output[0] in products:
            source, weight = node.input[:2]
            node.input[:2] = [pairs.read(source, scales[source]), pairs.read_weight(weight, channel_axis(node))]
        pairs.nodes.append(node)
    replace_graph(model, pairs.nodes, pairs.values)
    return model


class Pairs:
    """The nodes of a graph in the making, with a pair of Q/DQ nodes for each value that is quantised."""

    def __init__(self, values: dict[str, np.ndarray], unsigned: set[str]):
        """values: the graph's initialisers, which get more. unsigned: values that are quantised to uint8."""
        self.values, self.unsigned = values, unsigned
        self.nodes: list[onnx.NodeProto] = []
        self.stand_in: dict[str, str] = {}  # a value -> what to read for it

    def read(self, name: str, scale: float) -> str:
        """What to read for a value to be quantised with ``scale``, the largest value's over 127."""
        if name not in self.stand_in:
            ends = [f"{name}:scale", f"{name}:zero"]
            small = name in self.unsigned
            self.values[ends[0]] = np.float32(scale * LEVELS / UNSIGNED_LEVELS if small else scale)
            self.values[ends[1]] = np.uint8(0) if small else np.int8(0)
            self.stand_in[name] = f"{name}:dequantized"
            self.nodes.append(helper.make_node("QuantizeLinear", [name, *ends], [f"{name}:int8"]))
            self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}:int8", *ends], [self.stand_in[name]]))
        return self.stand_in[name]

    def read_weight(self, name: str, axis: int) -> str:
        """The same of a weight, with a scale for each index of ``axis``."""
        self.values[f"{name}:int8"], self.values[f"{name}:scales"] = quantize_weight(self.values[name], axis)
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}:int8", f"{name}:scales"], [f"{name}:dequantized"], axis=axis)
        )
        return f"{name}:dequantized"


def nonnegative(model: onnx.ModelProto) -> set[str]:
    """Values that are never negative, as far as it takes one look to see."""
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Relu" or (node.op_type == "MaxPool" and node.input[0] in found):
            found.add(node.output[0])
    return found


def layer_name(weight: str) -> str:
    """A layer as it is called in reports: the tensor's own name, and which part of it."""
    return weight.removesuffix(":with_norms_folded").removesuffix(":transposed")


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a weight that runs over output channels."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attributes(node).get("transB") else 1


def quantize_weight(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 of the weight's shape, and a scale per index of ``axis`` that fp16 holds exactly."""
    largest = np.abs(weight).max(tuple(i for i in range(weight.ndim) if i != axis))
    exact = np.maximum(largest / LEVELS, 1e-6)
    scale = exact.astype(np.float16)
    scale = np.where(scale < exact, np.nextafter(scale, np.float16(np.inf)), scale).astype(
        np.float32
    )  # nothing overflows
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.rint(weight / scale.reshape(shape)).clip(-LEVELS, LEVELS).astype(np.int8), scale


def best_scale(samples: np.ndarray, largest: float) -> float:
    """The scale whose rounding and clipping of the samples errs least, squared; from the largest value down to a fifth."""
    if largest <= 0:
        return 1.0 / LEVELS
    candidates = largest * np.linspace(1, 0.2, 41) / LEVELS
    errors = [np.square(np.rint(samples / s).clip(-LEVELS, LEVELS) * s - samples).mean() for s in candidates]
    return float(candidates[int(np.argmin(errors))])
