"""Equal graphs that are simpler to compile: batch norms in their convolutions, constants computed, no joined inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from egostream.graph.rewrite import attributes, consumers, initializers, live, replace_graph

#: Value -> the array that it always is: initialisers, and what was computed of them.
Constants = dict[str, np.ndarray]


def with_norms_folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal graph (to rounding) in which every weight is the initialiser that its convolution or product reads.

    Batch norms go into the convolutions before them; weights that were stored transposed or in one piece are transposed
    and split now. ``model`` is left as it is.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    constants, read = initializers(model), consumers(model)
    makers = {name: node for node in model.graph.node for name in node.output}
    names: dict[str, str] = {}  # value computed here -> a name that says which tensor it comes from
    nodes = []
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type == "Transpose" and node.input[0] in constants:
            names[node.output[0]] = f"{node.input[0]}:transposed"
            constants[names[node.output[0]]] = constants[node.input[0]].transpose(attributes(node)["perm"])
        elif node.op_type == "Split" and set(node.input) <= set(constants):
            ends = np.cumsum(constants[node.input[1]])[:-1]
            pieces = np.split(constants[node.input[0]], ends, attributes(node).get("axis", 0))
            names |= {output: f"{node.input[0]}:{number}" for number, output in enumerate(node.output)}
            constants |= {names[output]: piece for output, piece in zip(node.output, pieces)}
        elif follows_convolution(node, makers, constants, read):
            fold_into(makers[node.input[0]], node, constants)
        else:
            nodes.append(node)
    replace_graph(model, nodes, constants)
    return model


def follows_convolution(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], constants: Constants, read: Counter[str]
) -> bool:
    """Whether a node is a batch norm that alone reads a convolution, whose weight is constant."""
    before = makers.get(node.input[0]) if node.input else None
    return (
        node.op_type == "BatchNormalization"
        and before is not None
        and before.op_type == "Conv"
        and read[node.input[0]] == 1
        and before.input[1] in constants
    )


def fold_into(convolution: onnx.NodeProto, norm: onnx.NodeProto, constants: Constants) -> None:
    """Let a convolution do the batch norm behind it as well; its new weight and bias go into ``constants``."""
    weight, bias = fold_norm(norm, convolution, constants)
    own = [f"{convolution.input[1]}:with_norms_folded", f"{convolution.input[1]}:bias"]
    constants |= zip(own, (weight, bias))
    convolution.input[:] = [convolution.input[0], *own]
    convolution.output[0] = norm.output[0]


def fold_norm(norm: onnx.NodeProto, convolution: onnx.NodeProto, constants: Constants) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias, float32, of the convolution that does both: with f = gain / sqrt(variance + epsilon),

    W' = f W and b' = f (b - mean) + shift, for each output channel.
    """
    gain, shift, mean, variance = (constants[name] for name in norm.input[1:5])
    factor = gain / np.sqrt(variance + np.float32(attributes(norm).get("epsilon", 1e-5)))
    weight = constants[convolution.input[1]]
    folded = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    bias = constants[convolution.input[2]] if len(convolution.input) > 2 else np.zeros_like(mean)
    return folded.astype(np.float32), ((bias - mean) * factor + shift).astype(np.float32)


def with_concatenations_split(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal graph in which no convolution reads a concatenation: each part has a convolution, and they are added.

    Parts differ in range, so that each deserves a scale of its own; and OpenVINO 2026.4 quantises concatenations of
    int8 graphs several bits too coarsely. A graph without such a convolution is returned itself.
    """
    joins = {
        node.output[0]: node for node in model.graph.node if node.op_type == "Concat" and attributes(node)["axis"] == 1
    }
    if not any(node.op_type == "Conv" and node.input[0] in joins for node in model.graph.node):
        return model
    channels, constants = channel_counts(model), initializers(model)
    nodes = []
    for node in model.graph.node:
        parts = list(joins[node.input[0]].input) if node.op_type == "Conv" and node.input[0] in joins else []
        if parts and all(channels.get(part) for part in parts):
            nodes += split_convolution(node, parts, [channels[part] for part in parts], constants)
        else:
            nodes.append(node)
    replace_graph(model, live(nodes, model), constants)
    return model


def split_convolution(
    node: onnx.NodeProto, parts: list[str], channels: list[int], constants: Constants
) -> list[onnx.NodeProto]:
    """A convolution of joined values as convolutions of the parts and their sum; weights go into ``constants``.

    channels: how many of the joined value's channels each part has.
    """
    weight, output = node.input[1], node.output[0]
    pieces = np.split(constants[weight], np.cumsum(channels)[:-1], 1)
    nodes: list[onnx.NodeProto] = []
    total = ""
    for i, (part, piece) in enumerate(zip(parts, pieces)):
        constants[f"{weight}:{i}"] = piece
        one = onnx.NodeProto.FromString(node.SerializeToString())
        one.name, own = f"{node.name}:{i}", f"{output}:{i}"
        one.input[:] = [part, f"{weight}:{i}", *(node.input[2:] if i == 0 else [])]  # the bias counts once
        one.output[:] = [own]
        nodes.append(one)
        if i == 0:
            total = own
            continue
        summed = output if i == len(parts) - 1 else f"{output}:sum{i}"
        nodes.append(helper.make_node("Add", [total, own], [summed]))
        total = summed
    return nodes


def channel_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Name -> channels C of every picture-like value [N, C, H, W] between the nodes."""
    light = onnx.ModelProto()
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.opset_import.extend(model.opset_import)
    light.ir_version = model.ir_version
    for tensor in model.graph.initializer:
        # a large one as an input of its shape, which spares a copy of every weight
        if len(tensor.dims) > 1:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            light.graph.initializer.append(tensor)
    inferred = onnx.shape_inference.infer_shapes(light)
    sizes = {info.name: info.type.tensor_type.shape.dim for info in inferred.graph.value_info}
    return {name: dims[1].dim_value for name, dims in sizes.items() if len(dims) == 4}
