"""Heatmaps -> 2D keypoints: sub-pixel soft-argmax around the peak."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import parser

from egostream.calibration.view import HEATMAP_SIZE
from egostream.graph.rewrite import HEADER, set_graph
from egostream.skeleton import JOINT_COUNT

REACH = 2  # the 5x5 neighbourhood of the peak; targets are Gaussians of sigma 2


def heatmap_peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """heatmaps [J, H, W] in 0..1 -> (x, y) [J, 2] in heatmap coordinates, and the peak values [J].

    The position is the mean of the 5x5 neighbourhood weighted by its values above its own lowest one, so that a
    constant background does not pull it to the middle. A flat neighbourhood gives the peak itself.
    """
    J, H, W = heatmaps.shape
    flat = heatmaps.reshape(J, -1).argmax(1)
    peak_y, peak_x = flat // W, flat % W
    span = np.arange(-REACH, REACH + 1)
    y, x = peak_y[:, None] + span, peak_x[:, None] + span  # [J, 5]
    inside = ((y >= 0) & (y < H))[:, :, None] & ((x >= 0) & (x < W))[:, None, :]
    patch = heatmaps[np.arange(J)[:, None, None], y.clip(0, H - 1)[:, :, None], x.clip(0, W - 1)[:, None, :]]
    lowest = np.where(inside, patch, np.inf).min((1, 2), keepdims=True)
    weights = np.where(inside, patch - lowest, 0.0).astype(np.float64)
    total = weights.sum((1, 2))
    safe = np.where(total > 0, total, 1)
    dx = (weights.sum(1) * span).sum(1) / safe
    dy = (weights.sum(2) * span).sum(1) / safe
    return np.stack([peak_x + dx, peak_y + dy], -1), heatmaps.reshape(J, -1)[np.arange(J), flat].astype(float)


def with_peaks(model: onnx.ModelProto) -> onnx.ModelProto:
    """The heatmap graph with the places and heights of its peaks."""
    J, H, span = JOINT_COUNT, HEATMAP_SIZE, 2 * REACH + 1
    W = H + 2 * REACH  # a map with a border of -1, which no heatmap has
    dy, dx = np.divmod(np.arange(span * span), span)
    places = ", ".join(map(str, dy * W + dx))
    offsets = ", ".join(f"{offset}.0" for pair in zip(dx - REACH, dy - REACH) for offset in pair)
    tail = parser.parse_model(f"""{HEADER}
        peaks (float[N,{J},{H},{H}] heatmaps) => (float[N,{J},2] peaks, float[N,{J}] heights)
        <int64[3] "peak:flat_shape" = {{0, {J}, {H * H}}}, int64[1] "peak:side" = {{{H}}}, int64[1] "peak:width" = {{{W}}},
         int64[8] "peak:border" = {{0, 0, {REACH}, {REACH}, 0, 0, {REACH}, {REACH}}}, float "peak:outside" = {{-1.0}},
         int64[3] "peak:padded_shape" = {{0, {J}, {W * W}}}, int64[{span * span}] "peak:patch" = {{{places}}},
         float "peak:zero" = {{0.0}}, float "peak:high" = {{2.0}}, float "peak:one" = {{1.0}}, int64[1] "peak:last" = {{2}},
         float[{span * span},2] "peak:offsets" = {{{offsets}}}, int64 "peak:middle" = {{{span * span // 2}}}> {{
            "peak:flat" = Reshape (heatmaps, "peak:flat_shape")
            "peak:at" = ArgMax <axis = 2, keepdims = 1> ("peak:flat")
            "peak:y" = Div ("peak:at", "peak:side")
            "peak:x" = Mod ("peak:at", "peak:side")
            "peak:padded" = Pad (heatmaps, "peak:border", "peak:outside")
            "peak:padded_flat" = Reshape ("peak:padded", "peak:padded_shape")
            "peak:row" = Mul ("peak:y", "peak:width")
            "peak:corner" = Add ("peak:row", "peak:x")
            "peak:places" = Add ("peak:corner", "peak:patch")
            "peak:values" = GatherElements <axis = 2> ("peak:padded_flat", "peak:places")
            "peak:inside" = GreaterOrEqual ("peak:values", "peak:zero")
            "peak:bounded" = Where ("peak:inside", "peak:values", "peak:high")
            "peak:lowest" = ReduceMin <keepdims = 1> ("peak:bounded", "peak:last")
            "peak:above" = Sub ("peak:values", "peak:lowest")
            "peak:weights" = Where ("peak:inside", "peak:above", "peak:zero")
            "peak:total" = ReduceSum <keepdims = 1> ("peak:weights", "peak:last")
            "peak:sloped" = Greater ("peak:total", "peak:zero")
            "peak:safe" = Where ("peak:sloped", "peak:total", "peak:one")
            "peak:moment" = MatMul ("peak:weights", "peak:offsets")
            "peak:shift" = Div ("peak:moment", "peak:safe")
            "peak:xy" = Concat <axis = 2> ("peak:x", "peak:y")
            "peak:whole" = Cast <to = 1> ("peak:xy")
            peaks = Add ("peak:whole", "peak:shift")
            heights = Gather <axis = 2> ("peak:values", "peak:middle")
        }}""")
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.graph.output.extend(tail.graph.output)
    set_graph(model, [*model.graph.node, *tail.graph.node], [*model.graph.initializer, *tail.graph.initializer])
    return model
