"""The losses of the paper, and the heatmap targets. To add a loss, add a row to HEATMAP_LOSSES or POSE_LOSSES."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from egostream.calibration.view import HEATMAP_SIZE
from egostream.skeleton import BONES

SIGMA, RADIUS = 2, 6  # of the Gaussian targets, pixels at 64x64: the paper's eq. 7
CHILD, PARENT = (list(side) for side in zip(*BONES))
BONE_LENGTH_WEIGHT, BONE_DIRECTION_WEIGHT = 0.1, 0.01  # the paper's


def heatmap_targets(keypoints: torch.Tensor, size: int = HEATMAP_SIZE) -> torch.Tensor:
    """keypoints [..., 2] in 64x64-heatmap coordinates -> Gaussians [..., size, size], peak 1 at the keypoint.

    Paper eq. 7. The peak lies where the keypoint does, between pixels: depth is told from sizes of a few of them.
    Zero beyond the patch of +-6 px (at 64x64) around the peak, and everywhere for a keypoint that is not finite.
    """
    scale = size / HEATMAP_SIZE
    sigma, radius = SIGMA * scale, round(RADIUS * scale)
    grid = torch.arange(size, device=keypoints.device, dtype=keypoints.dtype)
    offset = grid - (keypoints * scale).unsqueeze(-1)  # [..., 2, size]
    near = offset.abs() <= radius  # never true of NaN
    x, y = torch.where(near, torch.exp(-(offset**2) / (2 * sigma**2)), 0.0).unbind(-2)
    return y.unsqueeze(-1) * x.unsqueeze(-2)


def bce_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over all pixels."""
    return F.binary_cross_entropy_with_logits(logits, targets)


def mse_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared error of the heatmaps, mean over all pixels: the paper's ablation."""
    return F.mse_loss(torch.sigmoid(logits), targets)


#: Name, as --loss takes it -> loss of logits and targets [N, 15, H, W].
HEATMAP_LOSSES = {"bce": bce_loss, "mse": mse_loss}


def heatmap_loss(logits: torch.Tensor, targets: torch.Tensor, kind: str = "bce") -> torch.Tensor:
    """Loss of heatmap logits [N, 15, H, W] of any precision against targets; kind: a key of HEATMAP_LOSSES."""
    return HEATMAP_LOSSES[kind](logits.float(), targets)


def paper_loss(estimated: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1.0 mean joint distance + 0.1 mean squared error of bone lengths - 0.01 mean cosine between bones.

    joints [..., 15, 3] in metres -> loss [...] of each frame.
    """
    distance = (estimated - truth).norm(dim=-1).mean(-1)
    bones = estimated[..., CHILD, :] - estimated[..., PARENT, :]
    true_bones = truth[..., CHILD, :] - truth[..., PARENT, :]
    length = (bones.norm(dim=-1) - true_bones.norm(dim=-1)).square().mean(-1)
    cosine = F.cosine_similarity(bones, true_bones, dim=-1).mean(-1)
    return distance + BONE_LENGTH_WEIGHT * length - BONE_DIRECTION_WEIGHT * cosine


#: Name -> loss of joints [..., 15, 3] in metres, one value per frame.
POSE_LOSSES = {"paper": paper_loss}
POSE_LOSS = "paper"  # what every stage that learns poses takes: the backbone's, and the pose's


def pose_loss(
    estimated: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None, kind: str = POSE_LOSS
) -> torch.Tensor:
    """Mean loss over frames of joints [..., 15, 3] in metres; kind: a key of POSE_LOSSES.

    weight [...] leaves frames out where it is 0; None: all count.
    """
    loss = POSE_LOSSES[kind](estimated.float(), truth.float())
    if weight is None:
        return loss.mean()
    weight = weight.to(loss.dtype)
    return (loss * weight).sum() / weight.sum().clamp(min=1)
