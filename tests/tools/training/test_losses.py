"""The paper's losses by hand, and the heatmap targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_samples import (
    gaussian,
)

from egostream.graph.peaks import heatmap_peaks
from egostream.skeleton import PARENTS
from tools.training.losses import heatmap_loss, heatmap_targets, pose_loss


def test_pose_loss_is_the_papers():
    estimated, truth = torch.randn(2, 3, 15, 3), torch.randn(2, 3, 15, 3)
    total = 0.0
    for e, t in zip(estimated.flatten(0, 1), truth.flatten(0, 1)):
        distance = sum(torch.dist(e[j], t[j]) for j in range(15)) / 15
        length = direction = 0.0
        for child, parent in enumerate(PARENTS):
            if child != parent:
                b, tb = e[child] - e[parent], t[child] - t[parent]
                length += (b.norm() - tb.norm()) ** 2 / 14
                direction += -torch.dot(b, tb) / (b.norm() * tb.norm()) / 14
        total += (distance + 0.1 * length + 0.01 * direction) / 6
    torch.testing.assert_close(pose_loss(estimated, truth), total)


def test_pose_loss_leaves_out_what_has_no_weight():
    estimated, truth = torch.randn(2, 3, 15, 3), torch.randn(2, 3, 15, 3)
    weight = torch.tensor([[0.0, 1, 1], [0, 0, 1]])
    kept = weight > 0
    torch.testing.assert_close(pose_loss(estimated, truth, weight), pose_loss(estimated[kept], truth[kept]))
    assert pose_loss(estimated, truth, torch.zeros(2, 3)) == 0


def test_pose_loss_of_the_truth_has_a_gradient():
    truth = torch.randn(2, 15, 3)
    estimated = truth.clone().requires_grad_()
    pose_loss(estimated, truth).backward()
    assert torch.isfinite(estimated.grad).all()


def test_heatmap_targets():
    points = [(10.0, 20.0), (30.4, 40.6), (0.2, 63.4), (-4.0, 5.0), (-7.0, 5.0), (300.0, 5.0)]
    targets = heatmap_targets(torch.tensor(points))
    assert targets.shape == (6, 64, 64)
    for target, (x, y) in zip(targets, points):
        np.testing.assert_allclose(target, gaussian(x, y), atol=1e-5)
    assert targets[0, 20, 10] == 1 and targets[3].max() > 0
    assert targets[4:].max() == 0  # wholly outside
    assert heatmap_targets(torch.tensor([[float("nan"), 3.0], [float("inf"), 3.0]])).abs().max() == 0


def test_heatmap_targets_are_read_back_between_pixels():
    keypoints = np.random.default_rng(0).uniform(8, 56, (15, 2))
    found, heights = heatmap_peaks(heatmap_targets(torch.tensor(keypoints)).numpy())
    assert np.abs(found - keypoints).max() < 0.3 and np.abs(found - keypoints).mean() < 0.12 and heights.min() > 0.9


def test_heatmap_targets_of_a_smaller_input():
    target = heatmap_targets(torch.tensor([20.0, 34.0]), 32)
    assert target.shape == (32, 32) and target[17, 10] == 1
    assert target[17, 12] == pytest.approx(np.exp(-4 / 2)) and target[17, 14] == 0  # sigma 1, radius 3


def test_heatmap_losses():
    logits, targets = torch.randn(2, 15, 8, 8), torch.rand(2, 15, 8, 8)
    p = torch.sigmoid(logits)
    torch.testing.assert_close(
        heatmap_loss(logits, targets), -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    )
    torch.testing.assert_close(heatmap_loss(logits, targets, "mse"), ((p - targets) ** 2).mean())
