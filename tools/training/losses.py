"""The losses of the paper, and the heatmap targets."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from egostream.skeleton import BONES

SIGMA, RADIUS = 2, 6  # of the Gaussian targets, pixels at 64x64
CHILD, PARENT = (list(side) for side in zip(*BONES))
BONE_LENGTH_WEIGHT, BONE_DIRECTION_WEIGHT = 0.1, 0.01


def heatmap_targets(keypoints: torch.Tensor, size: int = 64) -> torch.Tensor:
    """keypoints [..., 2] in 64x64-heatmap coordinates -> Gaussians [..., size, size], peak 1 at the keypoint (paper eq. 7).

    The peak lies where the keypoint does, between pixels: depth is told from sizes of a few of them. Zero beyond the
    patch of +-6 px (at 64x64) around the peak, and everywhere for a keypoint that is not finite.
    """
    scale = size / 64
    sigma, radius = SIGMA * scale, round(RADIUS * scale)
    grid = torch.arange(size, device=keypoints.device, dtype=keypoints.dtype)
    offset = grid - (keypoints * scale).unsqueeze(-1)  # [..., 2, size]
    profile = torch.where(
        offset.abs() <= radius, torch.exp(-(offset**2) / (2 * sigma**2)), 0.0
    )  # NaN is within no radius
    x, y = profile.unbind(-2)
    return y.unsqueeze(-1) * x.unsqueeze(-2)


def heatmap_loss(logits: torch.Tensor, targets: torch.Tensor, kind: str = "bce") -> torch.Tensor:
    """Mean over all pixels of binary cross-entropy ("bce"), or of the squared error of the heatmaps ("mse", an ablation)."""
    if kind == "mse":
        return F.mse_loss(torch.sigmoid(logits.float()), targets)
    return F.binary_cross_entropy_with_logits(logits.float(), targets)


def pose_loss(estimated: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """1.0 mean joint distance + 0.1 mean squared error of bone lengths - 0.01 mean cosine between bones.

    joints [..., 15, 3] in metres; weight [...] leaves frames out where it is 0.
    """
    estimated, truth = estimated.float(), truth.float()
    distance = (estimated - truth).norm(dim=-1).mean(-1)
    bones, true_bones = (
        estimated[..., CHILD, :] - estimated[..., PARENT, :],
        truth[..., CHILD, :] - truth[..., PARENT, :],
    )
    length = (bones.norm(dim=-1) - true_bones.norm(dim=-1)).square().mean(-1)
    cosine = F.cosine_similarity(bones, true_bones, dim=-1).mean(-1)
    loss = distance + BONE_LENGTH_WEIGHT * length - BONE_DIRECTION_WEIGHT * cosine
    if weight is None:
        return loss.mean()
    weight = weight.to(loss.dtype)
    return (loss * weight).sum() / weight.sum().clamp(min=1)
