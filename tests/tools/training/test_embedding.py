"""The joint embedding learns where a peak lies."""

from __future__ import annotations

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import tools.train_pose
from egostream.graph.peaks import heatmap_peaks
from tools.network.vision import JointEmbedding
from tools.training import embedding, pose_stages
from tools.training.embedding import DrawnPeaks


def test_the_embedding_learns_where_a_peak_lies(tmp_path, monkeypatch, capsys):
    """From drawn heatmaps alone, and a run that is finished is not made again."""
    monkeypatch.setattr(embedding, "VALIDATED", 256)
    monkeypatch.setattr(embedding, "BATCH", 64)
    machine = "--workers 0 --threads 1 --accelerator cpu --ema 0 --warmup 5"
    options = tools.train_pose.parse(
        f"--data none --heatmap none --out {tmp_path} --embedding-steps 60 {machine}".split()
    )
    network = SimpleNamespace(heatmap=SimpleNamespace(embedding=JointEmbedding()))
    untrained = copy.deepcopy(network.heatmap.embedding.state_dict())
    pose_stages.train_embedding(options, network)
    taught = float(re.search(r"told to ([0-9.]+) px", capsys.readouterr().out)[1])
    assert taught < 20  # in the middle always: 25
    assert not any(torch.equal(value, untrained[key]) for key, value in network.heatmap.embedding.state_dict().items())
    kept = copy.deepcopy(network.heatmap.embedding.state_dict())
    network.heatmap.embedding = JointEmbedding()
    pose_stages.train_embedding(options, network)
    assert all(torch.equal(value, kept[key]) for key, value in network.heatmap.embedding.state_dict().items())


def test_drawn_peaks_are_what_they_say():
    for draw in range(20):
        sample = DrawnPeaks(0)[0, draw]
        x, y = (sample["target"][:2] + 1) * 32
        if (sample["target"][2] > 0.3) and 8 < x < 56 and 8 < y < 56:
            (peak,), height = heatmap_peaks(sample["heatmap"])
            np.testing.assert_allclose(peak, (x, y), atol=0.3)
            assert height[0] == pytest.approx(sample["target"][2], abs=0.1)
