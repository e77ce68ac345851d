"""Folding: batch norms go into their convolutions, and tensors that only wait to be transposed or split are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import helper

from egostream.graph.rewrite import attributes, consumers, initializers, live, replace_graph


def with_norms_folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal graph (to rounding) in which every weight is the initialiser that its convolution or product reads."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    values, nodes, read = initializers(model), [], consumers(model)
    made = {name: node for node in model.graph.node for name in node.output}
    names: dict[
        str, str
    ] = {}  # what was computed here: its value's name in the graph -> one that says which tensor it comes from
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type == "Transpose" and node.input[0] in values:
            names[node.output[0]] = f"{node.input[0]}:transposed"
            values[names[node.output[0]]] = values[node.input[0]].transpose(attributes(node)["perm"])
        elif node.op_type == "Split" and set(node.input) <= set(values):
            ends = np.cumsum(values[node.input[1]])[:-1]
            parts = np.split(values[node.input[0]], ends, attributes(node).get("axis", 0))
            names |= {output: f"{node.input[0]}:{part}" for part, output in enumerate(node.output)}
            values |= {names[output]: part for output, part in zip(node.output, parts)}
        elif joins_convolution(node, made, values, read):
            convolution = made[node.input[0]]
            weight, bias = fold_norm(node, convolution, values)
            own = [f"{convolution.input[1]}:with_norms_folded", f"{convolution.input[1]}:bias"]
            values |= zip(own, (weight, bias))
            convolution.input[:] = [convolution.input[0], *own]
            convolution.output[0] = node.output[0]
        else:
            nodes.append(node)
    replace_graph(model, nodes, values)
    return model


def joins_convolution(node, made: dict, values: dict, read: Counter) -> bool:
    before = made.get(node.input[0]) if node.input else None
    return (
        node.op_type == "BatchNormalization"
        and before is not None
        and before.op_type == "Conv"
        and read[node.input[0]] == 1
        and before.input[1] in values
    )


def fold_norm(norm, convolution, values: dict) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the convolution that does both."""
    gain, shift, mean, variance = (values[name] for name in norm.input[1:5])
    factor = gain / np.sqrt(variance + np.float32(attributes(norm).get("epsilon", 1e-5)))
    weight = values[convolution.input[1]] * factor.reshape(-1, *[1] * (values[convolution.input[1]].ndim - 1))
    bias = values[convolution.input[2]] if len(convolution.input) > 2 else np.zeros_like(mean)
    return weight.astype(np.float32), ((bias - mean) * factor + shift).astype(np.float32)


def with_concatenations_split(model: onnx.ModelProto) -> onnx.ModelProto:
    """An equal graph in which no convolution reads a concatenation: each of its parts has a convolution, and they are added.

    Parts differ in range, so that each deserves a scale of its own; and OpenVINO 2026.4 quantises concatenations of
    int8 graphs several bits too coarsely.
    """
    joins = {
        node.output[0]: node for node in model.graph.node if node.op_type == "Concat" and attributes(node)["axis"] == 1
    }
    if not any(node.op_type == "Conv" and node.input[0] in joins for node in model.graph.node):
        return model
    channels, values, nodes = channel_counts(model), initializers(model), []
    for node in model.graph.node:
        parts = list(joins[node.input[0]].input) if node.op_type == "Conv" and node.input[0] in joins else []
        if not parts or not all(channels.get(part) for part in parts):
            nodes.append(node)
            continue
        weight, ends = node.input[1], np.cumsum([channels[part] for part in parts])[:-1]
        total = ""
        for i, (part, piece) in enumerate(zip(parts, np.split(values[weight], ends, 1))):
            values[f"{weight}:{i}"] = piece
            one = onnx.NodeProto.FromString(node.SerializeToString())
            one.name, own = f"{node.name}:{i}", f"{node.output[0]}:{i}"
            one.input[:] = [part, f"{weight}:{i}", *(node.input[2:] if i == 0 else [])]  # the bias counts once
            one.output[:] = [own]
            nodes.append(one)
            if i:
                after = node.output[0] if i == len(parts) - 1 else f"{node.output[0]}:sum{i}"
                nodes.append(helper.make_node("Add", [total, own], [after]))
            total = after if i else own
    replace_graph(model, live(nodes, model), values)
    return model


def channel_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Channels of every picture-like value [N, C, H, W] between the nodes."""
    light = onnx.ModelProto()
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.opset_import.extend(model.opset_import)
    light.ir_version = model.ir_version
    for tensor in model.graph.initializer:  # of large ones the shape alone, which spares copies of every weight
        if len(tensor.dims) > 1:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            light.graph.initializer.append(tensor)
    inferred = onnx.shape_inference.infer_shapes(light)
    sizes = {info.name: info.type.tensor_type.shape.dim for info in inferred.graph.value_info}
    return {name: dims[1].dim_value for name, dims in sizes.items() if len(dims) == 4}
