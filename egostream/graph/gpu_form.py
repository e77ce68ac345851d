"""Graphs whose memory stays where they run: the kept past is a ring on the GPU, and heatmaps end as keypoints there.

What a GPU worker uploads is then a frame and the numbers of the ring's rows that fill its window; what it downloads is a
pose. Two graphs take another form than the contract's (``graphs.GRAPH_IO``):

- temporal: instead of features or caches, ``ring`` [R, ...] of what was kept of every frame, and ``rows`` int32 [N, T-1]
  of it, oldest first. ``valid`` bool [N, T-1] says which count; absent rows may be any.
- heatmap: also ``peaks`` [N, 15, 2] and ``heights`` [N, 15], as ``keypoints.heatmap_peaks`` computes them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import parser

from egostream.graph.peaks import with_peaks
from egostream.graph.rewrite import HEADER, set_graph

#: What is kept of a frame: the output of these graphs that goes into the ring.
KEPT = {"window": "feature", "causal": "state"}
MOST_ROWS = 1 << 17  # of a ring


def as_gpu_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """The form for GPUs of a heatmap or temporal graph; any other graph as it is."""
    shapes = {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in model.graph.input}
    outputs = {port.name for port in model.graph.output}
    if "features" in shapes:
        return after(window_ring(*shapes["features"][1:]), model, {"features": "ring:features", "valid": "ring:valid"})
    if "motion" in outputs and "global_cache" in shapes:
        return after(
            causal_ring(shapes), model, {f"{name}_cache": f"ring:{name}" for name in ("conv", "local", "global")}
        )
    if "tokens" in outputs:
        return with_peaks(model)
    return model


def window_ring(T: int, C: int) -> onnx.ModelProto:
    """The window's features: the ring's rows, and the newest frame's."""
    return parser.parse_model(f"""{HEADER}
        ring (float[N,{C}] feature, float[R,{C}] ring, int32[N,{T - 1}] rows, bool[N,{T - 1}] valid)
            => (float[N,{T},{C}] "ring:features", bool[N,{T}] "ring:valid")
        <int64[1] "ring:one" = {{1}}, int64[1] "ring:zero" = {{0}}> {{
            "ring:past" = Gather <axis = 0> (ring, rows)
            "ring:now" = Unsqueeze (feature, "ring:one")
            "ring:features" = Concat <axis = 1> ("ring:past", "ring:now")
            "ring:first" = Slice (valid, "ring:zero", "ring:one", "ring:one")
            "ring:not" = Not ("ring:first")
            "ring:true" = Or ("ring:first", "ring:not")
            "ring:valid" = Concat <axis = 1> (valid, "ring:true")
        }}""")


def causal_ring(shapes: dict[str, list[int]]) -> onnx.ModelProto:
    """The three caches out of the kept states [blocks, (input, key, value), channels]."""
    blocks, taps, C = shapes["conv_cache"][1:]
    local, reach, T1 = shapes["local_cache"][1], shapes["local_cache"][3], shapes["global_cache"][3]
    nodes, constants = [], {"one": 1, "two": 2, "three": 3, "zero": 0, "blocks": blocks, "split": local, "end": T1}
    parts = (
        ("conv", taps, "zero", "blocks", "zero", "one"),
        ("local", reach, "zero", "split", "one", "three"),
        ("global", T1, "split", "blocks", "one", "three"),
    )
    for name, length, low, high, first, last in parts:
        constants[f"{name}_from"] = T1 - length
        nodes.append(f"""
            "ring:{name}_rows" = Slice (rows, "ring:{name}_from", "ring:end", "ring:one")
            "ring:{name}_kept" = Gather <axis = 0> (ring, "ring:{name}_rows")
            "ring:{name}_blocks" = Slice ("ring:{name}_kept", "ring:{low}", "ring:{high}", "ring:two")
            "ring:{name}_parts" = Slice ("ring:{name}_blocks", "ring:{first}", "ring:{last}", "ring:three")""")
    initializers = ", ".join(f'int64[1] "ring:{name}" = {{{value}}}' for name, value in constants.items())
    return parser.parse_model(f"""{HEADER}
        ring (float[R,{blocks},3,{C}] ring, int32[N,{T1}] rows) =>
            (float[N,{blocks},{taps},{C}] "ring:conv", float[N,{local},2,{reach},{C}] "ring:local",
             float[N,{blocks - local},2,{T1},{C}] "ring:global")
        <{initializers}> {{ {"".join(nodes)}
            "ring:conv_flat" = Squeeze ("ring:conv_parts", "ring:three")
            "ring:conv" = Transpose <perm = [0, 2, 1, 3]> ("ring:conv_flat")
            "ring:local" = Transpose <perm = [0, 2, 3, 1, 4]> ("ring:local_parts")
            "ring:global" = Transpose <perm = [0, 2, 3, 1, 4]> ("ring:global_parts")
        }}""")


def after(head: onnx.ModelProto, model: onnx.ModelProto, joins: dict[str, str]) -> onnx.ModelProto:
    """``model`` with some inputs (keys) read from values of ``head``."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        node.input[:] = [joins.get(name, name) for name in node.input]
    own = {port.name for port in head.graph.input}
    inputs = [port for port in model.graph.input if port.name not in own and port.name not in joins]
    nodes, tensors = [*head.graph.node, *model.graph.node], [*head.graph.initializer, *model.graph.initializer]
    del model.graph.input[:]
    model.graph.input.extend([*head.graph.input, *inputs])
    set_graph(model, nodes, tensors)
    return model


def ring_inputs(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs of a temporal graph in the form for GPUs, from those of the contract: for comparing the two."""
    if "features" in inputs:
        past = inputs["features"][:, :-1]
        ring, valid = past.reshape(-1, past.shape[-1]), inputs["valid"][:, :-1]
        feature = inputs["features"][:, -1]
    elif "global_cache" in inputs:
        conv, local, global_ = (inputs[f"{name}_cache"] for name in ("conv", "local", "global"))
        N, T1 = global_.shape[0], global_.shape[3]
        states = np.zeros((N, T1, conv.shape[1], 3, conv.shape[-1]), np.float32)
        states[:, T1 - conv.shape[2] :, :, 0] = conv.transpose(0, 2, 1, 3)
        states[:, T1 - local.shape[3] :, : local.shape[1], 1:] = local.transpose(0, 3, 1, 2, 4)
        states[:, :, local.shape[1] :, 1:] = global_.transpose(0, 3, 1, 2, 4)
        ring, valid, feature = states.reshape(-1, *states.shape[2:]), inputs["valid"], inputs["feature"]
    else:
        return inputs
    rows = np.arange(len(ring), dtype=np.int32).reshape(len(valid), -1)
    return {
        name: np.ascontiguousarray(value)
        for name, value in (("feature", feature), ("ring", ring), ("rows", rows), ("valid", valid))
    }
