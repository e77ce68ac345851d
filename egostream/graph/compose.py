"""Topologies made of those of the four graphs: what a processor runs fastest as one."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import uses_external_data

from egostream.graph.rewrite import live, replace_graph


def compose(
    name: str, parts: dict[str, onnx.ModelProto], ports: tuple[tuple[str, ...], tuple[str, ...]]
) -> onnx.ModelProto:
    """The graph ``name``, made of its parts: name -> topology, in data-flow order. The parts are used up.

    ports: names of its inputs and of its outputs, as ``ports.graph_io`` gives them.
    """
    inputs, outputs = ports
    known = {port.name: port for part in parts.values() for port in (*part.graph.input, *part.graph.output)}
    joined = onnx.ModelProto()
    joined.CopyFrom(next(iter(parts.values())))
    joined.graph.Clear()
    joined.graph.name = name
    for graph, model in parts.items():
        is_window = graph == "temporal" and "past" in inputs
        take_names(model.graph, graph, {"valid": "seen"} if is_window else {})
        if is_window:
            join_window(joined.graph, known)
        joined.graph.node.extend(model.graph.node)
        joined.graph.initializer.extend(model.graph.initializer)
    joined.graph.input.extend(known[port] for port in inputs)
    joined.graph.output.extend(known[port] for port in outputs)
    if len(parts) == 1:  # a part with fewer outputs: what only the others need goes
        names = dict.fromkeys(tensor.name for tensor in joined.graph.initializer)
        replace_graph(joined, live(list(joined.graph.node), joined), names)
    return joined


def take_names(part: onnx.GraphProto, graph: str, renamed_ports: dict[str, str]) -> None:
    """Put ``<graph>.`` before the names of a part's nodes and inner values, so that parts do not clash.

    Weights, inputs and outputs keep their names, but for those inputs and outputs that ``renamed_ports`` renames.
    """
    names = {port.name: renamed_ports.get(port.name, port.name) for port in (*part.input, *part.output)}
    names |= {tensor.name: tensor.name for tensor in part.initializer if uses_external_data(tensor)} | {"": ""}
    for node in part.node:
        node.name = f"{graph}.{node.name}"
        node.input[:] = [names.get(name, f"{graph}.{name}") for name in node.input]
        node.output[:] = [names.get(name, f"{graph}.{name}") for name in node.output]
    for tensor in part.initializer:
        tensor.name = names.get(tensor.name, f"{graph}.{tensor.name}")


def join_window(joined: onnx.GraphProto, ports: dict[str, onnx.ValueInfoProto]) -> None:
    """Add nodes: past [N, T-1, 384], valid [N, T-1] and the newest feature -> features [N, T, 384], seen [N, T].

    The newest feature always counts: x == x is true. ``ports`` gets the joined graph's inputs ``past`` and ``valid``.
    """
    for name, whole in (("past", ports["features"]), ("valid", ports["valid"])):
        tensor = whole.type.tensor_type
        _, T, *rest = (dim.dim_value for dim in tensor.shape.dim)
        ports[name] = helper.make_tensor_value_info(name, tensor.elem_type, ["N", T - 1, *rest])
    for name, value in (("step.0", 0), ("step.1", 1)):
        joined.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    nodes: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (  # operator, inputs, output, attributes
        ("Unsqueeze", ["feature", "step.1"], "step.newest", {}),
        ("Concat", ["past", "step.newest"], "features", {"axis": 1}),
        ("Slice", ["valid", "step.0", "step.1", "step.1"], "step.oldest", {}),
        ("Equal", ["step.oldest", "step.oldest"], "step.true", {}),
        ("Concat", ["valid", "step.true"], "seen", {"axis": 1}),
    )
    for operator, given, made, attributes in nodes:
        joined.node.append(helper.make_node(operator, given, [made], f"step.{made}", **attributes))
