"""Training of the joint embedding alone, on drawn heatmaps: its token shall say where the peak lies and how high it is.

Average pooling to 4x4 leaves a small peak's place within a cell of 16 pixels to what its flanks spill into the next
cells. The pose loss finds that out very slowly; this lesson, which needs no data, takes minutes. The layers that read
place and height off the token are dropped afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from egostream.calibration.view import HEATMAP_SIZE
from tools.network.vision import TOKEN_CHANNELS, JointEmbedding
from tools.training.best_tensors import EMBEDDING_FILE, load_best, save_best
from tools.training.frames import make_loader
from tools.training.losses import SIGMA
from tools.training.options import EmbeddingOptions
from tools.training.stage import AveragedTraining

LR = 2e-3  # chosen by hand; not measured
BATCH = 256  # drawn heatmaps per step; a step costs milliseconds
VALIDATED = 1024  # drawn heatmaps
UNDRAWN = 1 << 40  # draws from here on are validation's: training never makes them
ROWS = 1 << 20  # drawn heatmaps in one pass; only the draw counts


class DrawnPeaks(Dataset):
    """Heatmaps [1, 64, 64] by (row, draw), with the peak's x, y in -1..1 across the map and its height in 0..1.

    Peaks are as wide as the heatmap network's targets or up to about twice that. They are sure or faint, and a few lie
    beyond the border.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, which: tuple[int, int]) -> dict:
        rng = np.random.default_rng([self.seed, 7, which[1]])
        xy = rng.uniform(-1, HEATMAP_SIZE + 1, 2)
        sigma = SIGMA * np.exp(0.3 * rng.standard_normal(2))
        height = rng.uniform(0.7, 1) if rng.random() < 0.6 else rng.random()
        x, y = np.exp(-((np.arange(HEATMAP_SIZE)[None] - xy[:, None]) ** 2) / (2 * sigma[:, None] ** 2))
        heatmap = np.rint(255 * height * y[:, None] * x[None]) / 255  # as the feature cache keeps them
        target = [*(2 * xy / HEATMAP_SIZE - 1), height]
        return {"heatmap": heatmap[None].astype(np.float32), "target": np.array(target, np.float32)}


class PeakReader(nn.Module):
    """heatmaps [N, 1, 64, 64] -> x, y, height [N, 3], through the token."""

    def __init__(self, embedding: JointEmbedding):
        super().__init__()
        self.embedding = embedding
        self.reader = nn.Sequential(nn.Linear(TOKEN_CHANNELS, TOKEN_CHANNELS), nn.ReLU(), nn.Linear(TOKEN_CHANNELS, 3))

    def forward(self, heatmaps: torch.Tensor) -> torch.Tensor:
        return self.reader(self.embedding(heatmaps)[:, 0]).float()


class EmbeddingTraining(AveragedTraining):
    """Mean absolute error of place and height; the best embedding so far in the run folder."""

    NAME, JUDGED_BY, BEST = "embedding step", "peak_px", "best_px"

    options: EmbeddingOptions
    network: PeakReader

    def __init__(self, options: EmbeddingOptions, steps: int, embedding: JointEmbedding, folder: Path):
        super().__init__(options, steps, folder, PeakReader(embedding))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over the embedding and its reader."""
        return torch.optim.Adam(self.network.parameters(), lr=LR)

    def train_dataloader(self) -> DataLoader:
        """Drawn heatmaps, each once."""
        peaks = DrawnPeaks(self.options.seed)
        return make_loader(peaks, self.draws(len(peaks), BATCH), self.options.workers)

    def val_dataloader(self) -> DataLoader:
        """Drawn heatmaps that training never sees."""
        rows = range(VALIDATED)
        batches = [[(row, UNDRAWN | row) for row in rows[start : start + BATCH]] for start in rows[::BATCH]]
        return make_loader(DrawnPeaks(self.options.seed), batches, min(self.options.workers, 1))

    def training_step(self, batch: dict, _) -> torch.Tensor:
        """Loss of one batch."""
        loss = (self.network(batch["heatmap"]) - batch["target"]).abs().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict, _) -> None:
        """Keep the distances of one batch between told and true peaks, heatmap pixels [N]."""
        difference = self.average.best(self.network)(batch["heatmap"]) - batch["target"]
        self.results.append(difference[:, :2].norm(dim=-1).cpu() * (HEATMAP_SIZE / 2))

    def scores(self, results: list) -> dict[str, float]:
        """Median distance, heatmap pixels."""
        return {"peak_px": torch.cat(results).median().item()}

    def summary(self, scores: dict[str, float]) -> str:
        """Median distance in words."""
        return f"peaks are told to {scores['peak_px']:.2f} px of {HEATMAP_SIZE} (median)"

    def save(self, scores: dict[str, float], results: list) -> None:
        """Write embedding.safetensors: the embedding's tensors by their own names."""
        state = self.average.best(self.network).embedding.state_dict()
        save_best(self.folder / EMBEDDING_FILE, state, {"step": self.reached_step} | scores)


def load_embedding(embedding: JointEmbedding, path: Path) -> None:
    """Fill an embedding from what ``EmbeddingTraining`` wrote."""
    embedding.load_state_dict(load_best(path)[0])
