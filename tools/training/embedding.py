"""Training of the joint embedding alone, on drawn heatmaps: its token shall say where the peak lies and how high it is.

Average pooling to 4x4 leaves a small peak's place within a cell of 16 pixels to what its flanks spill into the next
cells. The pose loss finds that out very slowly; this lesson, which needs no data, takes minutes. The layers that read
place and height off the token are dropped afterwards.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn
from torch.utils.data import Dataset

from egostream.calibration.view import HEATMAP_SIZE
from egostream.files import write_whole
from tools.network.vision import TOKEN_CHANNELS, JointEmbedding
from tools.training.frames import chunks, make_loader
from tools.training.losses import SIGMA
from tools.training.stage import AveragedTraining

CHECKPOINT = "embedding.safetensors"
LR = 2e-3
BATCH = 256
VALIDATED = 1024  # drawn heatmaps


class DrawnPeaks(Dataset):
    """Heatmaps [1, 64, 64] by (row, draw), with the peak's x, y in -1..1 across the map and its height in 0..1.

    Peaks are as wide as the heatmap network's targets or up to about twice that, sure or faint, a few beyond the border.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __len__(self) -> int:
        return 1 << 20

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

    def forward(self, heatmaps):
        return self.reader(self.embedding(heatmaps)[:, 0]).float()


class EmbeddingTraining(AveragedTraining):
    """Mean absolute error of place and height; the best embedding so far in the run folder."""

    def __init__(self, options, steps: int, embedding: JointEmbedding, folder: Path):
        super().__init__(options, steps, folder, PeakReader(embedding))
        self.register_buffer("best_px", torch.tensor(float("inf")))
        self.errors: list[torch.Tensor] = []

    def configure_optimizers(self):
        return torch.optim.Adam(self.network.parameters(), lr=LR)

    def train_dataloader(self):
        peaks = DrawnPeaks(self.options.seed)
        return make_loader(peaks, self.draws(len(peaks), BATCH), self.options.workers)

    def val_dataloader(self):
        rows = np.arange(VALIDATED)
        batches = [
            [(row, 1 << 40 | row) for row, _ in chunk] for chunk in chunks(rows, BATCH)
        ]  # draws that training never makes
        return make_loader(DrawnPeaks(self.options.seed), batches, min(self.options.workers, 1))

    def training_step(self, batch, _):
        loss = (self.network(batch["heatmap"]) - batch["target"]).abs().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        difference = self.average.best(self.network)(batch["heatmap"]) - batch["target"]
        self.errors.append(difference[:, :2].norm(dim=-1).cpu() * (HEATMAP_SIZE / 2))

    def on_validation_epoch_end(self):
        errors, self.errors = torch.cat(self.errors), []
        median = errors.median().item()
        self.log("val/peak_px", median, rank_zero_only=True)
        if not self.trainer.is_global_zero:
            return
        print(
            f"\nembedding step {self.reached_step}: peaks are told to {median:.2f} px of {HEATMAP_SIZE} (median)",
            flush=True,
        )
        if median < self.best_px:
            self.best_px.fill_(median)
            state = self.average.best(self.network).embedding.state_dict()
            facts = {"step": self.reached_step, "peak_px": median}
            tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
            write_whole(self.folder / CHECKPOINT, save(tensors, {"facts": json.dumps(facts)}))


def load_embedding(embedding: JointEmbedding, path: Path) -> None:
    """Fill an embedding from what ``EmbeddingTraining`` wrote."""
    with safe_open(path, "pt") as file:
        embedding.load_state_dict({key: file.get_tensor(key) for key in file.keys()})
