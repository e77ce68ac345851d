"""A graph in parts that run one after another, so that something else can come between."""

from __future__ import annotations

import onnx

from egostream.graph.ports import MOTION_GRAPH

#: Layers before which a graph is cut: the backbone's second to fourth stage, which take about as long as each other.
STAGES = {MOTION_GRAPH: ("backbone/resnet.layer2.", "backbone/resnet.layer3.", "backbone/resnet.layer4.")}


def parts(model: onnx.ModelProto) -> list[onnx.ModelProto]:
    """The parts of a graph, by its name. Each but the last has one output, which the next reads besides inputs of the graph."""
    ends = sorted({end for layer in STAGES.get(model.graph.name, ()) if (end := cut_point(model.graph, layer))})
    if not ends:
        return [model]
    known = {port.name: port for port in onnx.shape_inference.infer_shapes(model).graph.value_info}
    ports = [known[model.graph.node[end - 1].output[0]] for end in ends]
    starts, handed, made = (
        [0, *ends],
        [[], *([port] for port in ports)],
        [*([port] for port in ports), model.graph.output],
    )
    return [part(model, *one) for one in zip(starts, [*ends, len(model.graph.node)], handed, made)]


def cut_point(graph: onnx.GraphProto, layer: str) -> int | None:
    """Number of the node to cut before: as late as a single value goes on, and none of the layer's weights has been read.

    A quantised value goes on as it is, a fourth as large as what it is dequantised to.
    """
    last = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last |= {port.name: len(graph.node) for port in graph.output}
    going_on, found = set(), None
    for place, node in enumerate(graph.node):
        if any(name.startswith(layer) for name in node.input):
            return found
        going_on = {name for name in going_on | set(node.output) if place < last.get(name, -1)}
        if (
            going_on == set(node.output)
            and len(going_on) == 1
            and last[node.output[0]] < len(graph.node)
            and node.op_type != "DequantizeLinear"
        ):
            found = place + 1
    return None


def part(model: onnx.ModelProto, start: int, end: int, handed, made) -> onnx.ModelProto:
    """Nodes ``start`` to ``end`` as a graph of their own."""
    found = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    found.graph.name = f"{model.graph.name} from node {start}"
    found.graph.node.extend(model.graph.node[start:end])
    read = {name for node in found.graph.node for name in node.input}
    found.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    found.graph.input.extend([*(port for port in model.graph.input if port.name in read), *handed])
    found.graph.output.extend(made)
    return found
