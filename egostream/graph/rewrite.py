"""What every rewrite of a graph needs of ONNX."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx.helper import get_attribute_value
from onnx.numpy_helper import from_array, to_array

#: What ONNX text begins with. Version and operator set are those of the exported topologies.
HEADER = '<ir_version: 10, opset_import: ["" : 20]>'


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """A graph's constants and weights by name."""
    return {tensor.name: to_array(tensor) for tensor in model.graph.initializer}


def consumers(model: onnx.ModelProto) -> Counter[str]:
    """How often each value is read; being an output of the graph counts once."""
    read = Counter(name for node in model.graph.node for name in node.input)
    read.update(output.name for output in model.graph.output)
    return read


def live(nodes: list[onnx.NodeProto], model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Those of the nodes, in their order, that contribute to an output of the model's graph."""
    wanted = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def replace_graph(model: onnx.ModelProto, nodes: list[onnx.NodeProto], values: Mapping[str, np.ndarray | None]) -> None:
    """Put ``nodes`` in place of the model's, and those of ``values`` that they read in place of its initialisers.

    An initialiser that stays keeps its bytes, even where ``values`` has another array of its name, or none.
    """
    used = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    kept = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors = [
        kept.get(name) or from_array(np.ascontiguousarray(values[name]), name) for name in values if name in used
    ]
    set_graph(model, nodes, tensors)


def set_graph(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], tensors: Iterable[onnx.TensorProto]) -> None:
    """Put nodes and initialisers in place of the model's. They are copied first, so they may be the model's own."""
    new_nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    new_tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(new_nodes)
    model.graph.initializer.extend(new_tensors)


def local_names(text: str, prefix: str) -> str:
    """ONNX text with every ``$name`` written as ``"<prefix>:name"``, so that no name of another graph is met."""
    return re.sub(r"\$(\w+)", rf'"{prefix}:\1"', text)
