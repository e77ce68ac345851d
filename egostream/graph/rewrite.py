"""What every rewrite of a graph needs of ONNX."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx.helper import get_attribute_value
from onnx.numpy_helper import from_array, to_array


def attributes(node: onnx.NodeProto) -> dict:
    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: to_array(tensor) for tensor in model.graph.initializer}


def consumers(model: onnx.ModelProto) -> Counter:
    """How often each value is read, graph outputs included."""
    read = Counter(name for node in model.graph.node for name in node.input)
    read.update(output.name for output in model.graph.output)
    return read


def live(nodes: list, model: onnx.ModelProto) -> list:
    """Nodes whose outputs are read."""
    wanted, kept = {output.name for output in model.graph.output}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def replace_graph(model: onnx.ModelProto, nodes: list, values: dict[str, np.ndarray]) -> None:
    """Nodes in place of the model's, with those of ``values`` that they read; initialisers that stay keep their bytes."""
    used = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors = [
        kept.get(name) or from_array(np.ascontiguousarray(values[name]), name) for name in values if name in used
    ]
    set_graph(model, nodes, tensors)


def set_graph(model: onnx.ModelProto, nodes: list, tensors: list) -> None:
    """Nodes and initialisers in place of the model's, which may be among them."""
    nodes, tensors = ([type(one).FromString(one.SerializeToString()) for one in side] for side in (nodes, tensors))
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensors)


HEADER = '<ir_version: 10, opset_import: ["" : 20]>'
