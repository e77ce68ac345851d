"""A graph in parts that run one after another, so that something else can come between."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from egostream.graph.ports import MOTION_GRAPH

#: Graph -> layers before which it is cut. The motion graph is cut before the second to fourth stage of its ResNet. The
#: parts take about as long as each other: 5 ms each in int8 on two cores of Zen 4.
CUT_BEFORE = {MOTION_GRAPH: ("backbone/resnet.layer2.", "backbone/resnet.layer3.", "backbone/resnet.layer4.")}


def split_graph(model: onnx.ModelProto) -> list[onnx.ModelProto]:
    """The parts of a graph in the order they run; a graph that ``CUT_BEFORE`` does not name is its own only part.

    Each part but the last has one output, which the next part reads besides inputs of the graph. The last part has the
    outputs of the graph.
    """
    layers = CUT_BEFORE.get(model.graph.name, ())
    ends = sorted({end for layer in layers if (end := cut_point(model.graph, layer))})
    if not ends:
        return [model]
    known = {port.name: port for port in onnx.shape_inference.infer_shapes(model).graph.value_info}
    handed_on = [[known[model.graph.node[end - 1].output[0]]] for end in ends]
    starts, stops = [0, *ends], [*ends, len(model.graph.node)]
    given, made = [[], *handed_on], [*handed_on, model.graph.output]
    return [part_of(model, *one) for one in zip(starts, stops, given, made)]


def cut_point(graph: onnx.GraphProto, layer: str) -> int | None:
    """Index of the node to cut before; None when there is no such place.

    It is the last place where a single value is still needed and no weight whose name begins with ``layer`` has been
    read. A quantised value is handed on as it is, which is a quarter of the bytes of what it is dequantised to.
    """
    last_read = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last_read |= {port.name: len(graph.node) for port in graph.output}
    needed: set[str] = set()
    found = None
    for place, node in enumerate(graph.node):
        if any(name.startswith(layer) for name in node.input):
            return found
        needed = {name for name in needed | set(node.output) if place < last_read.get(name, -1)}
        is_alone = len(needed) == 1 and needed == set(node.output)
        if is_alone and last_read[node.output[0]] < len(graph.node) and node.op_type != "DequantizeLinear":
            found = place + 1
    return None


def part_of(
    model: onnx.ModelProto,
    start: int,
    stop: int,
    given: Iterable[onnx.ValueInfoProto],
    made: Iterable[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """Nodes ``start`` to ``stop`` (not included) as a graph of their own.

    given: values that the part before made, inputs here. made: the outputs. Inputs of the whole graph stay inputs where
    they are read.
    """
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = f"{model.graph.name} from node {start}"
    part.graph.node.extend(model.graph.node[start:stop])
    read = {name for node in part.graph.node for name in node.input}
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    part.graph.input.extend([*(port for port in model.graph.input if port.name in read), *given])
    part.graph.output.extend(made)
    return part
