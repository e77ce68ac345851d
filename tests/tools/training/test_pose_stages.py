"""The stages of the pose: what they start from, their windows, and all of it end to end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from training_samples import (
    GEOMETRY,
    frame_set,
    last_checkpoint,
)

import tools.train_pose
from egostream.errors import EgostreamError
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import load_weights
from tools.network import NetworkSpec
from tools.network.build import build_network, load_network
from tools.network.vision import BackboneGraph, HeatmapNetwork
from tools.training import pose_stages
from tools.training.backbone import load_backbone
from tools.training.heatmap import load_heatmap


@pytest.mark.parametrize("earlier", [{"use_motion": False, "window": 2}, {}], ids=["spatial", "without identity"])
def test_a_new_part_is_silent_at_first(earlier, tmp_path, monkeypatch):
    """The full network that begins at a spatial one, or at one without joint identities, gives the same poses."""
    small = build_network(NetworkSpec(**earlier))
    tensors = {name: {k: v.numpy() for k, v in small.graph(name).state_dict().items()} for name in GRAPHS}
    weights = SimpleNamespace(network=small.spec.as_dict(), input=GEOMETRY)
    monkeypatch.setattr(pose_stages, "load_weights", lambda _: weights)
    monkeypatch.setattr(pose_stages, "load_tensors", lambda _, name: tensors[name])
    full = build_network(NetworkSpec(use_identity=True))
    assert pose_stages.load_whole(full, tmp_path, GEOMETRY) is not small.spec.use_motion
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, 384)
    with torch.no_grad():
        torch.testing.assert_close(full.decoder(tokens, motion), small.decoder(tokens, motion))


def test_weights_without_a_trained_backbone_do_not_start_motion(dataset, tmp_path, monkeypatch):
    """A spatial run's weights hold a backbone that nobody trained."""
    monkeypatch.setattr(tools.train_pose, "load_whole", lambda *_: True)
    monkeypatch.setattr(
        tools.train_pose, "load_weights", lambda _: SimpleNamespace(network={"use_motion": False}, form="causal")
    )
    arguments = [
        "--data",
        str(dataset),
        "--init",
        "runs/spatial/weights",
        "--out",
        str(tmp_path),
        "--cache",
        str(tmp_path / "cache"),
    ]
    with pytest.raises(
        EgostreamError, match="backbone of --init runs/spatial/weights was never trained: add --backbone"
    ):
        tools.train_pose.main(arguments)


def test_causal_trains_on_twice_the_window_and_is_validated_on_one(dataset):
    options = tools.train_pose.parse(
        f"--data {dataset} --heatmap none --out none --temporal causal --window 4 --stride 4".split()
    )
    network = SimpleNamespace(spec=tools.train_pose.network_spec(options))
    train, val = pose_stages.make_windows(options, network, frame_set(dataset), frame_set(dataset, "val"), 1000 / 30)
    assert (train.shape.T, val.shape.T) == (8, 4) and len(val[0, 0]["valid"]) == 4


def test_the_commands_make_weights(trained):
    weights = load_weights(trained / "pose" / "weights")
    assert (weights.variant, weights.temporal, weights.window, weights.trained) == ("paper", "window", 64, True)
    assert weights.step_ms == pytest.approx(1000 / 30) and weights.input == GEOMETRY
    assert weights.metrics["val_mpjpe_mm"] > 0
    # the same windows through the cache and through the whole network in fp32
    assert weights.metrics["whole_mpjpe_mm"] == pytest.approx(weights.metrics["val_mpjpe_mm"], abs=1.0)
    network = load_network(weights)
    fresh = HeatmapNetwork()
    load_heatmap(fresh, trained / "heatmap")
    torch.testing.assert_close(network.heatmap.network.head.weight, fresh.head.weight)
    backbone = BackboneGraph()
    load_backbone(backbone, str(trained / "backbone"))
    torch.testing.assert_close(network.backbone.linear.weight, backbone.linear.weight)


def test_fine_tuning_end_to_end_trains_layer4_only(trained, dataset, tmp_path, monkeypatch):
    """The paper's way, from given weights: no cache, frames in, stem to layer3 and the heatmaps frozen."""
    monkeypatch.setattr(pose_stages, "write_weights", lambda *_: None)
    start = trained / "pose" / "weights"
    machine = "--workers 0 --val-frames 1 --accelerator cpu --threads 1 --ema 0".split()
    arguments = f"--init {start} --window 4 --stride 8 --batch 1 --steps 1".split()
    tools.train_pose.main(["--data", str(dataset), "--out", str(tmp_path), *machine, *arguments])
    before = load_network(load_weights(start))
    after = last_checkpoint(tmp_path)["state_dict"]
    moved = {
        name: not torch.equal(value, after[f"network.vision.backbone.{name}"])
        for name, value in before.backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    below = ("resnet.conv1", "resnet.bn1", "resnet.layer1", "resnet.layer2", "resnet.layer3")
    assert not any(flag for name, flag in moved.items() if name.startswith(below))
    assert all(
        flag for name, flag in moved.items() if name.startswith(("resnet.layer4", "linear", "bn."))
    )  # statistics, too
    for name, value in before.heatmap.network.state_dict().items():
        assert torch.equal(value, after[f"network.vision.heatmap.{name}"])
