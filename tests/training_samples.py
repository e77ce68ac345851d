"""What the tests of training share: frames, heatmaps, a track, cheap networks, and the arguments of short runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from egostream.calibration.view import InputGeometry
from tools.data.datasets import read_data
from tools.training.feature_cache import Heatmaps, Track
from tools.training.frames import FrameSet

GEOMETRY = InputGeometry("canonical", "crop")


def frame_set(dataset: Path, split: str = "train") -> FrameSet:
    """One split of the small dataset."""
    return FrameSet(read_data(str(dataset), split), split)


def gaussian(x: float, y: float) -> np.ndarray:
    """The heatmap [64, 64] of a keypoint, by the paper's equation."""
    rows, columns = np.mgrid[:64, :64]
    near = (abs(rows - y) <= 6) & (abs(columns - x) <= 6)
    return near * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 2**2))


def track_of(F: int) -> Track:
    """A cached sequence whose joints and features say which frame they are of."""
    rng = np.random.default_rng(0)
    maps = Heatmaps.pack(list(rng.integers(0, 256, (F, 15, 64, 64), np.uint8)))
    joints = np.arange(F, dtype=np.float32)[:, None, None] + np.zeros((1, 15, 3), np.float32)
    features = np.repeat(np.arange(1, F + 1), 384).reshape(F, 384).astype(np.float16)
    return Track(np.arange(F), np.arange(F), 30.0, joints, np.ones(F, bool), features, maps)


class CheapBackbone(torch.nn.Module):
    """Stands in for the ResNet-50, which takes seconds: 384 brightnesses."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.linspace(0, 1, 384))

    def forward(self, frame):
        return frame.float().mean((1, 2, 3)).unsqueeze(1) / 255 * self.gain


class CheapHeatmaps(torch.nn.Module):
    """Stands in for the heatmap network."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 64)[:, :1].expand(-1, 15, -1, -1)


def heatmap_arguments(dataset: Path, out: Path, *more: str) -> list[str]:
    """Arguments of tools/train_heatmap.py for a run of a few steps."""
    common = "--size 128 --batch 2 --steps 6 --val-every 100 --val-frames 4"
    machine = "--workers 0 --warmup 2 --accelerator cpu --threads 1"
    return ["--data", str(dataset), "--out", str(out), *common.split(), *machine.split(), *more]


def last_checkpoint(folder: Path) -> dict:
    """The checkpoint that a run folder holds."""
    return torch.load(folder / "last.ckpt", weights_only=True)
