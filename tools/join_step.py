"""The fused step's topology out of those of the four graphs."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import uses_external_data

from egostream.graphs import graph_io
from egostream.weights import STEP


def join_step(four: dict[str, bytes], temporal: str) -> bytes:
    """All four graphs as one that takes a frame and what was kept of those before it."""
    parts = {graph: onnx.load_from_string(model).graph for graph, model in four.items()}
    inputs, outputs = graph_io(STEP, temporal)
    ports = {port.name: port for part in parts.values() for port in (*part.input, *part.output)}
    step = onnx.load_from_string(four["decoder"])
    step.graph.Clear()
    step.graph.name = STEP
    for graph, part in parts.items():
        take_names(part, graph, {"valid": "seen"} if temporal == "window" else {})
        if graph == "temporal" and temporal == "window":
            join_window(step.graph, ports)
        step.graph.node.extend(part.node)
        step.graph.initializer.extend(part.initializer)
    step.graph.input.extend(ports[name] for name in inputs)
    step.graph.output.extend(ports[name] for name in outputs)
    return step.SerializeToString(deterministic=True)


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


def join_window(step: onnx.GraphProto, ports: dict[str, onnx.ValueInfoProto]) -> None:
    """past [N, T-1, 384], valid [N, T-1] and the newest feature, always valid -> features [N, T, 384], seen [N, T].

    ``ports`` gets the step's inputs in place of the window's.
    """
    for name, whole in (("past", ports["features"]), ("valid", ports["valid"])):
        kind, (_, T, *rest) = whole.type.tensor_type.elem_type, (d.dim_value for d in whole.type.tensor_type.shape.dim)
        ports[name] = helper.make_tensor_value_info(name, kind, ["N", T - 1, *rest])
    for name, value in (("step.0", 0), ("step.1", 1)):
        step.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    step.node.extend(
        helper.make_node(kind, given, [made], f"step.{made}", **attributes)
        for kind, given, made, attributes in (
            ("Unsqueeze", ["feature", "step.1"], "step.newest", {}),
            ("Concat", ["past", "step.newest"], "features", {"axis": 1}),
            ("Slice", ["valid", "step.0", "step.1", "step.1"], "step.oldest", {}),
            ("Equal", ["step.oldest", "step.oldest"], "step.true", {}),
            ("Concat", ["valid", "step.true"], "seen", {"axis": 1}),
        )
    )
