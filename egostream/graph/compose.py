"""Topologies made of those of the four graphs: what a processor runs fastest as one."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import uses_external_data


def compose(
    name: str, parts: dict[str, onnx.ModelProto], ports: tuple[tuple[str, ...], tuple[str, ...]]
) -> onnx.ModelProto:
    """The graph ``name`` out of its parts, which are used up. ports: names of its inputs and outputs, as ``graphs.graph_io`` has them."""
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
    return joined


def take_names(part: onnx.GraphProto, graph: str, others: dict[str, str]) -> None:
    """Put the graph's name before those of its nodes and values, but for weights, inputs and outputs; of these,
    ``others`` are called otherwise."""
    names = {port.name: others.get(port.name, port.name) for port in (*part.input, *part.output)}
    names |= {tensor.name: tensor.name for tensor in part.initializer if uses_external_data(tensor)} | {"": ""}
    for node in part.node:
        node.name = f"{graph}.{node.name}"
        node.input[:] = [names.get(name, f"{graph}.{name}") for name in node.input]
        node.output[:] = [names.get(name, f"{graph}.{name}") for name in node.output]
    for tensor in part.initializer:
        tensor.name = names.get(tensor.name, f"{graph}.{tensor.name}")


def join_window(joined: onnx.GraphProto, ports: dict[str, onnx.ValueInfoProto]) -> None:
    """past [N, T-1, 384], valid [N, T-1] and the newest feature, always valid -> features [N, T, 384], seen [N, T].

    ``ports`` gets the joined graph's inputs in place of the window's.
    """
    for name, whole in (("past", ports["features"]), ("valid", ports["valid"])):
        kind, (_, T, *rest) = whole.type.tensor_type.elem_type, (d.dim_value for d in whole.type.tensor_type.shape.dim)
        ports[name] = helper.make_tensor_value_info(name, kind, ["N", T - 1, *rest])
    for name, value in (("step.0", 0), ("step.1", 1)):
        joined.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    joined.node.extend(
        helper.make_node(kind, given, [made], f"step.{made}", **attributes)
        for kind, given, made, attributes in (
            ("Unsqueeze", ["feature", "step.1"], "step.newest", {}),
            ("Concat", ["past", "step.newest"], "features", {"axis": 1}),
            ("Slice", ["valid", "step.0", "step.1", "step.1"], "step.oldest", {}),
            ("Equal", ["step.oldest", "step.oldest"], "step.true", {}),
            ("Concat", ["valid", "step.true"], "seen", {"axis": 1}),
        )
    )
