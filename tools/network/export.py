"""PyTorch modules -> ONNX graphs, and their topologies."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch import nn

from egostream.calibration.view import INPUT_SIZE
from egostream.graph.bind import strip_tensors
from egostream.graph.ports import (
    BODY_FORM,
    BODY_GRAPH,
    LOOK_GRAPH,
    MAX_BATCH,
    MOTION_GRAPH,
    POSE_GRAPH,
    STEP_GRAPH,
    graph_io,
)
from egostream.graph.weights import graphs_of
from egostream.skeleton import JOINT_COUNT
from egostream.told import TOLD
from tools.network import NetworkSpec
from tools.network.network import (
    BodyStep,
    BodyTemporal,
    CausalMotion,
    CausalTemporal,
    FramePose,
    Look,
    WholeStep,
    WindowMotion,
    WindowTemporal,
)
from tools.network.temporal import BLOCKS, CAUSAL_REACH, LOCAL_BLOCKS
from tools.network.vision import FEATURE_CHANNELS, TOKEN_CHANNELS

OPSET = 20  # the first with GELU as one operator; TensorRT, OpenVINO and ONNX Runtime all read it


def example_inputs(graph: str, spec: NetworkSpec, N: int = 2) -> dict[str, torch.Tensor]:
    """Random inputs of the right shapes, by name."""
    T, C = spec.window, spec.channels if spec.form == BODY_FORM else FEATURE_CHANNELS
    past = T - 1
    local = min(CAUSAL_REACH, past)
    tensors = {
        "frame": torch.randint(0, 256, (N, INPUT_SIZE, INPUT_SIZE, 3), dtype=torch.uint8),
        "tokens": torch.randn(N, JOINT_COUNT, TOKEN_CHANNELS),
        "motion": torch.randn(N, C),
        "features": torch.randn(N, T, C),
        "past": torch.randn(N, past, C),
        "feature": torch.randn(N, C),
        "conv_cache": torch.randn(N, BLOCKS, 2, C),
        "local_cache": torch.randn(N, LOCAL_BLOCKS, 2, local, C),
        "global_cache": torch.randn(N, BLOCKS - LOCAL_BLOCKS, 2, past, C),
        "rays": nn.functional.normalize(torch.randn(N, JOINT_COUNT, 3), dim=-1),
        "confidence": torch.rand(N, JOINT_COUNT),
        "told": torch.cat([torch.randn(N, TOLD - 4), (torch.rand(N, 4) > 0.5).float()], 1),
        "body_cache": torch.randn(N, spec.depth, 2, past, spec.channels),
        "valid": torch.rand(N, T if graph == "temporal" and spec.temporal == "window" else past) > 0.3,
    }
    return {name: tensors[name] for name in graph_io(graph, spec.form)[0]}


def export_module(network, graph: str) -> torch.nn.Module:
    """The module whose forward is the graph."""
    if network.spec.form == BODY_FORM:
        parts = {LOOK_GRAPH: Look, BODY_GRAPH: BodyStep, "temporal": BodyTemporal}
        return parts[graph](network) if graph in parts else network.graph(graph)
    causal = network.spec.temporal == "causal"
    made = {
        STEP_GRAPH: WholeStep,
        POSE_GRAPH: FramePose,
        MOTION_GRAPH: CausalMotion if causal else WindowMotion,
        "temporal": CausalTemporal if causal else WindowTemporal,
    }
    return made[graph](network) if graph in made else network.graph(graph)


def tensor_name(graph: str, name: str) -> str:
    """PyTorch's parameter name inside the exported module -> ``<file>/<key>``."""
    return f"{graph}/{name.removeprefix('temporal.') if graph == 'temporal' else name}"


def export_graph(network, graph: str) -> bytes:
    """The topology of one of the four graphs as serialised ONNX, batch dimension dynamic up to MAX_BATCH."""
    inputs = example_inputs(graph, network.spec)
    module = export_module(network, graph).eval()
    batch = torch.export.Dim("N", min=1, max=MAX_BATCH)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            input_names=list(inputs),
            output_names=list(graph_io(graph, network.spec.form)[1]),
        )
    assert program is not None  # the dynamo exporter always gives one
    model = program.model
    names = set(module.state_dict())  # what is not among them, like the normalisation's constants, stays in the graph
    simplify(model, names)
    rename_tensors(model, graph, names)
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces of whoever exported it
    proto = ir.to_proto(model)
    proto.graph.ClearField("value_info")
    return strip_tensors(proto)


def simplify(model: ir.Model, names: set[str]) -> None:
    """Fold shapes and constants, but never the weights: the topology must fit every set of them."""
    hidden = {value: value.const_value for name, value in model.graph.initializers.items() if name in names}
    for value in hidden:
        value.const_value = None
        del model.graph.initializers[str(value.name)]
        model.graph.inputs.append(value)
    optimizer.optimize(model)
    for value, tensor in hidden.items():
        model.graph.inputs.remove(value)
        value.const_value = tensor
        model.graph.initializers.add(value)


def rename_tensors(model: ir.Model, graph: str, names: set[str]) -> None:
    """Give the weights the names that they have in a weights folder."""
    for name, value in list(model.graph.initializers.items()):
        if name in names and value.const_value is not None:
            del model.graph.initializers[name]
            value.name = value.const_value.name = tensor_name(graph, name)
            model.graph.initializers.add(value)


def export_topologies(network) -> dict[str, bytes]:
    """The topologies of a network's graphs."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    return {graph: export_graph(network, graph) for graph in graphs_of(network.spec.as_dict())}
