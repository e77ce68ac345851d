"""int8 graphs: quantise and dequantise nodes (Q/DQ) at the inputs and weights of convolutions and matrix products.

Activations are quantised symmetrically with one scale per tensor, weights with one per output channel:

    q = clip(round(x / scale), -127, 127), and x is read as q scale

Two rules let a compiler fuse whole residual blocks, so that nothing but bytes moves between their layers. A sum at
the end of a block adds the quantised value that a layer reads, not the exact one. A value that is pooled is quantised
before the pool. The scales of a weights folder lie in its ``int8.json``, written by tools/quantize.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import helper

from egostream.graph.rewrite import attributes, initializers, replace_graph
from egostream.graph.simplify import with_concatenations_split, with_norms_folded

#: Largest quantised value of int8, which is used symmetrically, and of uint8.
LEVELS, UNSIGNED_LEVELS = 127, 255
#: Names that weights of unquantised layers begin with. They are hardly any work, and most of what int8 costs in
#: millimetres would be theirs.
FLOAT_LAYERS = ("decoder/", "heatmap/embedding.", "heatmap/network.head.")
#: Smallest scale of a weight's channel: a channel of zeros needs one, too. fp16 holds it as 17 of its smallest steps.
SMALLEST_SCALE = 1e-6


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The equal graph (to rounding) whose layers are quantised. ``model`` is left as it is."""
    return with_concatenations_split(with_norms_folded(model))


def quantizable_layers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Name of the weight -> node, of every layer in a prepared graph that can be quantised.

    Such a layer is a convolution or product of an activation with a constant matrix or kernel.
    """
    dimensions = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm") or node.input[1].startswith(FLOAT_LAYERS):
            continue
        if dimensions.get(node.input[1], 0) > 1 and node.input[0] not in dimensions:
            found[node.input[1]] = node
    return found


def quantized(
    model: onnx.ModelProto,
    scales: Mapping[str, float],
    kept: Collection[str] = frozenset(),
    unsigned: bool = False,
) -> onnx.ModelProto:
    """The graph with Q/DQ nodes at every layer whose input has a scale, but for those ``kept`` in floating point.

    scales: value -> its largest magnitude over 127. kept: layers by ``layer_name``. unsigned: uint8 for values that are
    never negative, which halves their steps; not every backend has such a type. ``model`` is left as it is.
    """
    return with_qdq_nodes(prepared(model), scales, kept, unsigned)


def with_qdq_nodes(
    model: onnx.ModelProto, scales: Mapping[str, float], kept: Collection[str], unsigned: bool = False
) -> onnx.ModelProto:
    """``quantized`` for a graph that is prepared already. ``model`` is left as it is."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    candidates = quantizable_layers(model)
    chosen = [node for name, node in candidates.items() if node.input[0] in scales and layer_name(name) not in kept]
    positive = nonnegative(model)
    quantizer = Quantizer(initializers(model), positive if unsigned else set())
    sources, products = {node.input[0] for node in chosen}, {node.output[0] for node in chosen}
    for node in model.graph.node:
        if node.op_type == "MaxPool" and node.output[0] in sources & positive:
            # The largest of rounded values is the largest one, rounded. Not where values are signed: what OpenVINO
            # 2026.4 moves between their quantisation and a padded convolution comes out wrong, at least at its edges.
            node.input[0] = quantizer.read(node.input[0], scales[node.output[0]])
            quantizer.stand_in[node.output[0]] = node.output[0]
        elif node.op_type == "Add":
            node.input[:] = [quantizer.read(name, scales[name]) if name in sources else name for name in node.input]
        elif node.output[0] in products:
            source, weight = node.input[:2]
            node.input[:2] = [
                quantizer.read(source, scales[source]),
                quantizer.read_weight(weight, channel_axis(node)),
            ]
        quantizer.nodes.append(node)
    replace_graph(model, quantizer.nodes, quantizer.values)
    return model


class Quantizer:
    """The nodes of a graph in the making, with a pair of Q/DQ nodes for each value that is quantised."""

    def __init__(self, values: dict[str, np.ndarray], unsigned: set[str]):
        """values: the graph's initialisers, to which scales are added. unsigned: values that are quantised to uint8."""
        self.values, self.unsigned = values, unsigned
        self.nodes: list[onnx.NodeProto] = []
        self.stand_in: dict[str, str] = {}  # value -> the value to read in its place

    def read(self, name: str, scale: float) -> str:
        """The value to read in place of an activation; its Q/DQ nodes are added when it is read first.

        scale: the activation's largest magnitude over 127.
        """
        if name not in self.stand_in:
            ends = [f"{name}:scale", f"{name}:zero"]
            is_unsigned = name in self.unsigned
            self.values[ends[0]] = np.asarray(scale * LEVELS / UNSIGNED_LEVELS if is_unsigned else scale, np.float32)
            self.values[ends[1]] = np.asarray(0, np.uint8 if is_unsigned else np.int8)
            self.stand_in[name] = f"{name}:dequantized"
            self.nodes.append(helper.make_node("QuantizeLinear", [name, *ends], [f"{name}:int8"]))
            self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}:int8", *ends], [self.stand_in[name]]))
        return self.stand_in[name]

    def read_weight(self, name: str, axis: int) -> str:
        """The value to read in place of a weight, which is quantised with a scale for each index of ``axis``."""
        self.values[f"{name}:int8"], self.values[f"{name}:scales"] = quantize_weight(self.values[name], axis)
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}:int8", f"{name}:scales"], [f"{name}:dequantized"], axis=axis)
        )
        return f"{name}:dequantized"


def nonnegative(model: onnx.ModelProto) -> set[str]:
    """Names of values that are surely never negative: outputs of a Relu, and the largest of such values."""
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Relu" or (node.op_type == "MaxPool" and node.input[0] in found):
            found.add(node.output[0])
    return found


def layer_name(weight: str) -> str:
    """A layer as reports and ``int8.json`` call it: its weight's own name in the file, and which part of it."""
    return weight.removesuffix(":with_norms_folded").removesuffix(":transposed")


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a layer's weight that runs over output channels."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attributes(node).get("transB") else 1


def quantize_weight(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """A weight as int8 of its shape, and a scale for each index of ``axis``, float32 [n].

    Nothing is clipped: the scale is the channel's largest magnitude over 127, rounded up to a number that fp16 holds
    exactly, so that fp16 engines read the same weights.
    """
    largest = np.abs(weight).max(tuple(i for i in range(weight.ndim) if i != axis))
    exact = np.maximum(largest / LEVELS, SMALLEST_SCALE)
    rounded = exact.astype(np.float16)
    scale = np.where(rounded < exact, np.nextafter(rounded, np.float16(np.inf)), rounded).astype(np.float32)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return np.rint(weight / scale.reshape(shape)).clip(-LEVELS, LEVELS).astype(np.int8), scale


def best_scale(samples: np.ndarray, largest: float) -> float:
    """The scale of an activation whose rounding and clipping of the samples errs least, in the mean of squares.

    samples: values that were seen, of any shape. largest: the largest magnitude that was seen, samples or not.
    Candidates go from clipping nothing to clipping at a fifth of ``largest``, in steps of a fiftieth.

    tools/pack_weights.py searches in another way: a scale for each channel of a weight, by the sum over the channel,
    down to 0.7 of its largest magnitude. Either search in place of the other would change the bytes of shipped files.
    """
    if largest <= 0:
        return 1.0 / LEVELS
    candidates = largest * np.linspace(1, 0.2, 41) / LEVELS
    errors = [np.square(np.rint(samples / s).clip(-LEVELS, LEVELS) * s - samples).mean() for s in candidates]
    return float(candidates[int(np.argmin(errors))])
