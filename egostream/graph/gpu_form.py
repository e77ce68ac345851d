"""Graphs whose memory stays where they run: the kept past is a ring on the GPU, and heatmaps end as keypoints there.

A GPU worker then uploads a frame and the numbers of the ring's rows that fill its window, and downloads a pose. Three
graphs take another form than the contract's (``ports.GRAPH_IO``):

- temporal: instead of features or caches, ``ring`` [R, ...] of what was kept of every frame, and ``rows`` int32
  [N, T-1] of it, oldest first. ``valid`` bool [N, T-1] says which rows count; those that do not may be any row.
- heatmap and look: also ``peaks`` [N, 15, 2] and ``heights`` [N, 15], as ``peaks.heatmap_peaks`` computes them.

N is the batch size, T the frames of a window with the newest, R the frames that the ring holds, C the channels.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import parser

from egostream.graph.peaks import with_peaks
from egostream.graph.rewrite import HEADER, local_names, set_graph

#: Temporal form -> the output that goes into the ring for each frame.
KEPT = {"window": "feature", "causal": "state"}
#: Most rows of a ring that engines take. Chosen by hand, to be far beyond MAX_STREAMS windows; not measured.
MOST_ROWS = 1 << 17
#: The three caches of the causal form.
CACHES = ("conv", "local", "global")


def as_gpu_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """The form for GPUs of a heatmap, look or temporal graph, as a copy; any other graph is returned itself."""
    shapes = {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in model.graph.input}
    outputs = {port.name for port in model.graph.output}
    if "features" in shapes:
        T, C = shapes["features"][1:]
        return with_head(window_ring(T, C), model, {"features": "ring:features", "valid": "ring:valid"})
    if "motion" in outputs and "global_cache" in shapes:
        return with_head(causal_ring(shapes), model, {f"{name}_cache": f"ring:{name}" for name in CACHES})
    if "heatmaps" in outputs and "joints" not in outputs:
        return with_peaks(model)
    return model


def window_ring(T: int, C: int) -> onnx.ModelProto:
    """feature [N, C], ring [R, C], rows and valid [N, T-1] -> the window's features [N, T, C] and valid [N, T].

    The newest frame's feature comes last and always counts: x or not x is true.
    """
    ports = f"""
        (float[N,{C}] feature, float[R,{C}] ring, int32[N,{T - 1}] rows, bool[N,{T - 1}] valid)
            => (float[N,{T},{C}] $features, bool[N,{T}] $valid)"""
    constants = "int64[1] $one = {1}, int64[1] $zero = {0}"
    nodes = """
        $past = Gather <axis = 0> (ring, rows)
        $now = Unsqueeze (feature, $one)
        $features = Concat <axis = 1> ($past, $now)
        $first = Slice (valid, $zero, $one, $one)
        $not = Not ($first)
        $true = Or ($first, $not)
        $valid = Concat <axis = 1> (valid, $true)"""
    return parser.parse_model(local_names(f"{HEADER} ring {ports} <{constants}> {{ {nodes} }}", "ring"))


def causal_ring(shapes: dict[str, list[int]]) -> onnx.ModelProto:
    """ring [R, blocks, 3, C] and rows [N, T-1] -> the caches conv, local and global.

    shapes: of the causal graph's inputs, by name.
    What is kept of a frame is, for each block of the network: its convolution's input, and attention's key and value.
    The first ``local`` blocks attend to the last few frames only, the others to the whole window.
    """
    blocks, taps, C = shapes["conv_cache"][1:]
    local, reach, past = shapes["local_cache"][1], shapes["local_cache"][3], shapes["global_cache"][3]
    constants = {"one": 1, "two": 2, "three": 3, "zero": 0, "blocks": blocks, "split": local, "end": past}
    caches = (  # cache, frames it reaches back, its blocks from and to, its kinds (input, key, value) from and to
        ("conv", taps, "zero", "blocks", "zero", "one"),
        ("local", reach, "zero", "split", "one", "three"),
        ("global", past, "split", "blocks", "one", "three"),
    )
    nodes = ""
    for name, length, low, high, first, last in caches:
        constants[f"{name}_from"] = past - length
        nodes += f"""
            ${name}_rows = Slice (rows, ${name}_from, $end, $one)
            ${name}_kept = Gather <axis = 0> (ring, ${name}_rows)
            ${name}_blocks = Slice (${name}_kept, ${low}, ${high}, $two)
            ${name}_parts = Slice (${name}_blocks, ${first}, ${last}, $three)"""
    nodes += """
            $conv_flat = Squeeze ($conv_parts, $three)
            $conv = Transpose <perm = [0, 2, 1, 3]> ($conv_flat)
            $local = Transpose <perm = [0, 2, 3, 1, 4]> ($local_parts)
            $global = Transpose <perm = [0, 2, 3, 1, 4]> ($global_parts)"""
    ports = f"""
        (float[R,{blocks},3,{C}] ring, int32[N,{past}] rows) =>
            (float[N,{blocks},{taps},{C}] $conv, float[N,{local},2,{reach},{C}] $local,
             float[N,{blocks - local},2,{past},{C}] $global)"""
    initializers = ", ".join(f"int64[1] ${name} = {{{value}}}" for name, value in constants.items())
    return parser.parse_model(local_names(f"{HEADER} ring {ports} <{initializers}> {{ {nodes} }}", "ring"))


def with_head(head: onnx.ModelProto, model: onnx.ModelProto, joins: dict[str, str]) -> onnx.ModelProto:
    """A copy of ``model`` behind ``head``. joins: input of ``model`` -> the value of ``head`` to read in its place."""
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
    """Inputs of a temporal graph in the form for GPUs, from those of the contract: for comparing the two.

    The ring holds just the frames that the inputs hold. Inputs of any other graph are returned as they are.
    """
    if "features" in inputs:
        past = inputs["features"][:, :-1]
        ring, valid = past.reshape(-1, past.shape[-1]), inputs["valid"][:, :-1]
        feature = inputs["features"][:, -1]
    elif "global_cache" in inputs:
        states = kept_states(*(inputs[f"{name}_cache"] for name in CACHES))
        ring, valid, feature = states.reshape(-1, *states.shape[2:]), inputs["valid"], inputs["feature"]
    else:
        return inputs
    rows = np.arange(len(ring), dtype=np.int32).reshape(len(valid), -1)
    given = {"feature": feature, "ring": ring, "rows": rows, "valid": valid}
    return {name: np.ascontiguousarray(value) for name, value in given.items()}


def kept_states(conv: np.ndarray, local: np.ndarray, global_: np.ndarray) -> np.ndarray:
    """The caches of the causal form -> what was kept of every past frame, float32 [N, T-1, blocks, 3, C].

    Zeros stand where a cache does not reach back so far.
    """
    N, past, local_blocks = global_.shape[0], global_.shape[3], local.shape[1]
    states = np.zeros((N, past, conv.shape[1], 3, conv.shape[-1]), np.float32)
    states[:, past - conv.shape[2] :, :, 0] = conv.transpose(0, 2, 1, 3)
    states[:, past - local.shape[3] :, :local_blocks, 1:] = local.transpose(0, 3, 1, 2, 4)
    states[:, :, local_blocks:, 1:] = global_.transpose(0, 3, 1, 2, 4)
    return states
