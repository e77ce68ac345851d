"""Heatmaps -> 2D keypoints by a soft-argmax around the peak: in NumPy, and beside it as ONNX nodes for a GPU.

Both compute, for each heatmap h with its highest value at p = argmax h:

    N = {q inside the map: |q_x - p_x| <= REACH, |q_y - p_y| <= REACH}
    w_q = h_q - min over N of h
    peak = p + (sum over N of w_q (q - p)) / (sum over N of w_q),  or p where all w_q are 0
    height = h_p

Subtracting the lowest value keeps a constant background from pulling the peak to the middle of N. The formula is our
own.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import parser

from egostream.calibration.view import HEATMAP_SIZE
from egostream.graph.rewrite import HEADER, local_names, set_graph
from egostream.skeleton import JOINT_COUNT

#: Of the neighbourhood N, in heatmap pixels: 5x5 covers one sigma of the targets, which are Gaussians of sigma 2.
REACH = 2
#: Offsets q - p along either axis.
OFFSETS = np.arange(-REACH, REACH + 1)
#: What the ONNX nodes read outside the map. No heatmap has a negative value.
OUTSIDE = -1.0
#: What the ONNX nodes put there when they look for the lowest value. Heatmaps lie in 0..1.
TOO_HIGH = 2.0


def heatmap_peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """heatmaps [J, H, W] in 0..1 -> peaks (x, y) [J, 2] in heatmap pixels, and heights [J]: the module's equation.

    A flat neighbourhood gives p itself.
    """
    J, H, W = heatmaps.shape
    flat = heatmaps.reshape(J, -1).argmax(1)
    peak_y, peak_x = flat // W, flat % W
    y, x = peak_y[:, None] + OFFSETS, peak_x[:, None] + OFFSETS  # [J, 5]
    inside = ((y >= 0) & (y < H))[:, :, None] & ((x >= 0) & (x < W))[:, None, :]  # [J, 5, 5]
    patch = heatmaps[np.arange(J)[:, None, None], y.clip(0, H - 1)[:, :, None], x.clip(0, W - 1)[:, None, :]]
    lowest = np.where(inside, patch, np.inf).min((1, 2), keepdims=True)
    weights = np.where(inside, patch - lowest, 0.0).astype(np.float64)
    total = weights.sum((1, 2))
    safe = np.where(total > 0, total, 1)
    dx = (weights.sum(1) * OFFSETS).sum(1) / safe
    dy = (weights.sum(2) * OFFSETS).sum(1) / safe
    return np.stack([peak_x + dx, peak_y + dy], -1), heatmaps.reshape(J, -1)[np.arange(J), flat].astype(float)


def with_peaks(model: onnx.ModelProto) -> onnx.ModelProto:
    """The heatmap or look graph with two more outputs, ``peaks`` [N, 15, 2] and ``heights`` [N, 15] of its heatmaps.

    They are what ``heatmap_peaks`` computes, in fp32. ``model`` is left as it is.
    """
    tail = peak_nodes()
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.graph.output.extend(tail.graph.output)
    set_graph(model, [*model.graph.node, *tail.graph.node], [*model.graph.initializer, *tail.graph.initializer])
    return model


def peak_nodes() -> onnx.ModelProto:
    """heatmaps [N, 15, 64, 64] -> peaks [N, 15, 2], heights [N, 15]: the module's equation as ONNX nodes.

    Maps get a border of REACH pixels, so that every neighbourhood lies inside: a pixel's place in a bordered, flattened
    map is y W + x. Names beginning with ``$`` are of inner values, which ``local_names`` makes unique.
    """
    J, H = JOINT_COUNT, HEATMAP_SIZE
    W = H + 2 * REACH  # width of a bordered map
    count = len(OFFSETS) ** 2
    neighbours = [(dx, dy) for dy in OFFSETS for dx in OFFSETS]
    places = ", ".join(f"{(dy + REACH) * W + dx + REACH}" for dx, dy in neighbours)
    offsets = ", ".join(f"{dx}.0, {dy}.0" for dx, dy in neighbours)
    constants = f"""
        int64[3] $flat_shape = {{0, {J}, {H * H}}},
        int64[1] $side = {{{H}}},
        int64[1] $width = {{{W}}},
        int64[8] $border = {{0, 0, {REACH}, {REACH}, 0, 0, {REACH}, {REACH}}},
        float $outside = {{{OUTSIDE}}},
        int64[3] $padded_shape = {{0, {J}, {W * W}}},
        int64[{count}] $patch = {{{places}}},
        float $zero = {{0.0}},
        float $high = {{{TOO_HIGH}}},
        float $one = {{1.0}},
        int64[1] $last = {{2}},
        float[{count},2] $offsets = {{{offsets}}},
        int64 $middle = {{{count // 2}}}"""
    highest = """
        $flat = Reshape (heatmaps, $flat_shape)
        $at = ArgMax <axis = 2, keepdims = 1> ($flat)
        $y = Div ($at, $side)
        $x = Mod ($at, $side)"""
    neighbourhood = """
        $padded = Pad (heatmaps, $border, $outside)
        $padded_flat = Reshape ($padded, $padded_shape)
        $row = Mul ($y, $width)
        $corner = Add ($row, $x)
        $places = Add ($corner, $patch)
        $values = GatherElements <axis = 2> ($padded_flat, $places)
        $inside = GreaterOrEqual ($values, $zero)"""
    weights = """
        $bounded = Where ($inside, $values, $high)
        $lowest = ReduceMin <keepdims = 1> ($bounded, $last)
        $above = Sub ($values, $lowest)
        $weights = Where ($inside, $above, $zero)"""
    mean = """
        $total = ReduceSum <keepdims = 1> ($weights, $last)
        $sloped = Greater ($total, $zero)
        $safe = Where ($sloped, $total, $one)
        $moment = MatMul ($weights, $offsets)
        $shift = Div ($moment, $safe)"""
    outputs = """
        $xy = Concat <axis = 2> ($x, $y)
        $whole = Cast <to = 1> ($xy)
        peaks = Add ($whole, $shift)
        heights = Gather <axis = 2> ($values, $middle)"""
    ports = f"(float[N,{J},{H},{H}] heatmaps) => (float[N,{J},2] peaks, float[N,{J}] heights)"
    nodes = highest + neighbourhood + weights + mean + outputs
    return parser.parse_model(local_names(f"{HEADER} peaks {ports} <{constants}> {{ {nodes} }}", "peak"))
