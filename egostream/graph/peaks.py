"""Heatmaps -> 2D keypoints: sub-pixel soft-argmax around the peak."""

from __future__ import annotations

import numpy as np

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
