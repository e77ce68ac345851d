"""Binding: a topology, which has no data, and a file of tensors become one ONNX graph; and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx.external_data_helper import set_external_data, uses_external_data

from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.compose import compose
from egostream.graph.ports import COMPOSED_OF, GRAPHS, graph_io
from egostream.graph.weights import Weights, load_tensors


def shipped_topologies(variant: str, temporal: str) -> Path:
    """Folder of the topologies that come with egostream, for a network's variant and temporal form."""
    return asset("engines", f"{variant}-{temporal}")


def bind_graph(weights: Weights, graph: str) -> onnx.ModelProto:
    """One graph with its tensors inside; a composed graph is made of its parts first.

    Initialisers are named ``<file>/<key>``. Raises EgostreamError that names the tensor when the file lacks it or has
    it in another shape.
    """
    assert weights.folder is not None, "weights that lie in no folder have no graphs"
    try:
        return bound(weights, graph, weights.folder)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise EgostreamError(
            f"the {graph} graph of {weights.folder} is malformed ({type(error).__name__}). "
            "Make the weights folder again"
        ) from None


def bound(weights: Weights, graph: str, folder: Path) -> onnx.ModelProto:
    """As ``bind_graph``, of a folder; raises whatever a malformed graph leads to."""
    parts = {part: read_topology(folder / f"{part}.onnx") for part in COMPOSED_OF.get(graph, (graph,))}
    tensors = {part: load_tensors(weights, part) for part in parts}
    model = compose(graph, parts, graph_io(graph, weights.temporal)) if graph in COMPOSED_OF else parts[graph]
    for initializer in model.graph.initializer:
        if uses_external_data(initializer):
            fill_initializer(initializer, tensors, folder)
    if any(uses_external_data(tensor) for tensor in inner_tensors(model.graph)):
        raise EgostreamError(
            f"the {graph} graph of {folder} names another file in one of its constants; tensors are read from "
            "its own .safetensors alone. Make the weights folder again from its checkpoint"
        )
    return model


def inner_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All tensors of a graph: initialisers, and those in attributes of nodes, in sub-graphs, too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for inner in (attribute.g, *attribute.graphs):
            yield from inner_tensors(inner)


def read_topology(path: Path) -> onnx.ModelProto:
    """An ONNX file without its tensors. Raises EgostreamError when it cannot be read."""
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own exception classes differ between its versions
        raise EgostreamError(
            f"{path} is not a readable ONNX graph ({type(error).__name__}). Make the weights folder again"
        ) from None


def fill_initializer(initializer: onnx.TensorProto, tensors: dict[str, dict[str, np.ndarray]], folder: Path) -> None:
    """Put the tensor that an initialiser is named after into it. tensors: file -> key -> array.

    Raises EgostreamError when the file lacks it or has it in another shape.
    """
    owner, _, key = initializer.name.partition("/")
    value = tensors.get(owner, {}).get(key)
    if value is None:
        raise EgostreamError(
            f"{folder / owner}.safetensors lacks the tensor {key}. Make the weights folder again from its checkpoint"
        )
    if list(value.shape) != list(initializer.dims):
        raise EgostreamError(
            f"{folder / owner}.safetensors: {key} has shape {list(value.shape)}, "
            f"the graph wants {list(initializer.dims)}"
        )
    filled = onnx.numpy_helper.from_array(value, initializer.name)
    initializer.CopyFrom(filled)


def strip_tensors(model: onnx.ModelProto) -> bytes:
    """The topology of a graph, as bytes of an ONNX file: the way back from ``bind_graph``.

    Initialisers named ``<file>/<key>`` lose their data; the others are constants and keep it.
    """
    topology = onnx.ModelProto()
    topology.CopyFrom(model)
    for initializer in topology.graph.initializer:
        owner = initializer.name.split("/", 1)[0]
        if "/" in initializer.name and owner in GRAPHS:
            if not initializer.HasField("raw_data"):
                initializer.raw_data = onnx.numpy_helper.to_array(initializer).tobytes()
            set_external_data(initializer, location=f"{owner}.safetensors")
            initializer.ClearField("raw_data")
    return topology.SerializeToString(deterministic=True)
