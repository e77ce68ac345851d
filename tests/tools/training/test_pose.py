"""The heads that are trained equal the network; absent slots, dropout, devices."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from drawn_people import STANDING
from torch._subclasses.fake_tensor import FakeTensorMode

from tools.network import NetworkSpec
from tools.network.vision import BackboneGraph, HeatmapNetwork
from tools.training.losses import pose_loss
from tools.training.pose import PoseHeads, Vision


@pytest.mark.parametrize("temporal", ["window", "causal"])
def test_heads_equal_the_network(temporal):
    """What is trained on cached features is what the whole network computes."""
    spec = NetworkSpec(temporal=temporal, window=8)
    heads = PoseHeads(spec, np.zeros((15, 3))).eval()
    features, valid, maps = torch.randn(2, 8, 384), torch.ones(2, 8, dtype=torch.bool), torch.rand(2, 3, 15, 64, 64)
    chosen = torch.tensor([[0, 4, 7], [2, 2, 7]])
    with torch.no_grad():
        joints = heads(features, valid, maps, chosen)
        motion = heads.temporal(features, valid)
        for b in range(2):
            for m in range(3):
                expected = heads.decoder(heads.embedding(maps[b, m : m + 1]), motion[b, chosen[b, m]].unsqueeze(0))
                torch.testing.assert_close(joints[b, m], expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("off", ["tokens", "motion"])
def test_ablated_heads_ignore_their_input(off):
    heads = PoseHeads(NetworkSpec(window=8, **{f"use_{off}": False}), np.zeros((15, 3))).eval()
    valid, chosen = torch.ones(1, 8, dtype=torch.bool), torch.tensor([[7]])
    inputs = {"motion": torch.randn(1, 8, 384), "tokens": torch.rand(1, 1, 15, 64, 64)}
    base = heads(inputs["motion"], valid, inputs["tokens"], chosen)
    for name in inputs:
        changed = {key: value + (torch.randn_like(value) if key == name else 0) for key, value in inputs.items()}
        assert torch.equal(base, heads(changed["motion"], valid, changed["tokens"], chosen)) == (name == off)
    heads(inputs["motion"], valid, inputs["tokens"], chosen).sum().backward()
    assert all(
        p.grad is not None for p in heads.parameters() if p.requires_grad
    )  # none unused: DistributedDataParallel needs that


def test_absent_slots_have_no_feature_and_no_part_in_the_statistics():
    backbone = BackboneGraph()
    alone, frames = copy.deepcopy(backbone).train(), torch.randint(0, 256, (2, 3, 64, 64, 3), dtype=torch.uint8)
    valid = torch.tensor([[False, True, True], [False, False, True]])
    frames[~valid] = 255  # whatever lies there
    features, _ = Vision(HeatmapNetwork(), backbone, trained="all").train()(frames, valid, torch.tensor([[2], [2]]))
    torch.testing.assert_close(features[valid], alone(frames[valid]))
    assert not features[~valid].any() and features[valid].abs().max() > 0
    for (name, value), expected in zip(backbone.state_dict().items(), alone.state_dict().values()):
        torch.testing.assert_close(value, expected, msg=name)


@pytest.mark.parametrize(
    "spec", [NetworkSpec(), NetworkSpec(temporal="causal", window=32), NetworkSpec("released", window=32)], ids=str
)
def test_the_heads_make_no_tensor_on_another_device(spec):
    """All that training runs, on tensors that only say that they lie on a GPU."""
    heads = PoseHeads(spec, STANDING[None])
    own = heads.state_dict()
    with FakeTensorMode():
        on_gpu = lambda *shape, dtype=torch.float32: torch.empty(*shape, dtype=dtype, device="cuda")
        parameters = {name: on_gpu(*value.shape, dtype=value.dtype) for name, value in own.items()}
        batch = (
            on_gpu(2, 32, 384),
            on_gpu(2, 32, dtype=torch.bool),
            on_gpu(2, 3, 15, 64, 64),
            on_gpu(2, 3, dtype=torch.int64),
        )
        joints = torch.func.functional_call(heads, parameters, batch)
        assert joints.device.type == "cuda" and joints.shape == (2, 3, 15, 3)
        assert pose_loss(joints.flatten(0, 1), on_gpu(6, 15, 3)).device.type == "cuda"


def test_dropout_is_set_everywhere():
    heads = PoseHeads(NetworkSpec(window=4, use_identity=True), np.zeros((15, 3)), dropout=0.0).train()
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, 384)
    assert torch.equal(heads.decoder(tokens, motion), heads.decoder(tokens, motion))
    heads = PoseHeads(NetworkSpec(window=4), np.zeros((15, 3)), dropout=0.1).train()
    assert not torch.equal(heads.decoder(tokens, motion), heads.decoder(tokens, motion))
