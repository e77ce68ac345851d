"""Training of the heatmap network on single frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from egostream.calibration.view import HEATMAP_SIZE, INPUT_SIZE
from egostream.files import write_whole
from egostream.graph.peaks import heatmap_peaks
from tools.evaluation.metrics import PCK_SHARES, pck
from tools.network.vision import HeatmapNetwork, Normalise
from tools.training.best_tensors import (
    HEATMAP_FILE,
    below,
    graph_tensors,
    load_best_or_say,
    load_strictly,
    save_best,
)
from tools.training.frames import FrameDataset, FrameSet, spread
from tools.training.losses import heatmap_loss, heatmap_targets
from tools.training.options import HeatmapOptions
from tools.training.overlay import draw_pose, png, sheet
from tools.training.stage import FrameTraining

PREFIX = "network."  # of the heatmap graph's tensors: the joint embedding beside them is trained with the pose
SHOWN = 12  # validated frames in an overlay
START_SPREAD, START_LOGIT = 0.01, -5.0  # of the head: sigmoid(-5) is 0.7%, and the targets' mean about 0.6%


class HeatmapTraining(FrameTraining):
    """frames -> logits -> loss; validation by PCK; the best weights so far in the run folder."""

    NAME, JUDGED_BY, BEST = "step", "loss", "best_loss"

    options: HeatmapOptions
    network: HeatmapNetwork

    def __init__(self, options: HeatmapOptions, steps: int, train: FrameSet, val: FrameSet, folder: Path):
        network = initialise(HeatmapNetwork())
        super().__init__(options, steps, folder, network, (train, val), options.size, options.batch)
        self.normalise = Normalise()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the whole network."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.options.lr, weight_decay=self.options.weight_decay)

    def val_dataloader(self) -> DataLoader:
        """Frames as they are."""
        return self.validation_loader(FrameDataset(self.val_frames, self.size), self.frame_rows(), 2 * self.batch_size)

    def loss(self, logits: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
        """Loss of logits [N, 15, H, H] against targets at keypoints [N, 15, 2], heatmap coordinates."""
        return heatmap_loss(logits, heatmap_targets(keypoints.float(), logits.shape[-1]), self.options.loss)

    def training_step(self, batch: dict, _) -> torch.Tensor:
        """Loss of one batch."""
        loss = self.loss(self.network(self.normalise(self.frames_of(batch))), batch["keypoints"])
        self.skipped += batch["skipped"].sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict, _) -> None:
        """Keep what the averaged network says of one batch."""
        logits = self.average.best(self.network)(self.normalise(batch["frame"])).float()
        heatmaps = torch.sigmoid(logits).cpu().numpy()
        peaks = [heatmap_peaks(maps) for maps in heatmaps]
        told = {
            "loss": self.loss(logits, batch["keypoints"]).item(),
            "estimated": np.stack([xy for xy, _ in peaks]) * (HEATMAP_SIZE / heatmaps.shape[-1]),
            "confidence": np.stack([height for _, height in peaks]),
        }
        self.results.append(told | {key: batch[key].cpu().numpy() for key in ("keypoints", "visible", "frame")})

    def scores(self, results: list) -> dict[str, float]:
        """Loss, and PCK at a share of the picture's width, over keypoints inside it or visible ones."""
        estimated, truth, visible = (joined(results, key) for key in ("estimated", "keypoints", "visible"))
        counts = [len(result["frame"]) for result in results]
        loss = sum(result["loss"] * count for result, count in zip(results, counts)) / sum(counts)
        inside = (np.isfinite(truth) & (truth >= 0) & (truth < HEATMAP_SIZE)).all(-1)
        near, far = (share * HEATMAP_SIZE for share in PCK_SHARES)
        return {
            "loss": loss,
            "pck_10": pck(estimated, truth, far, inside),
            "pck_5": pck(estimated, truth, near, inside),
            "pck_5_visible": pck(estimated, truth, near, visible),
        }

    def summary(self, scores: dict[str, float]) -> str:
        """Scores, and how many frames could not be read."""
        return ", ".join(f"{key} {value:.4g}" for key, value in scores.items()) + self.said_of_skipped()

    def show(self, results: list) -> None:
        """Estimated and true poses drawn on a few frames, in TensorBoard and as overlay.png."""
        shown = spread(sum(len(r["frame"]) for r in results), SHOWN)
        parts = (joined(results, key)[shown] for key in ("frame", "estimated", "confidence", "keypoints"))
        overlay = sheet([draw_pose(enlarge(f), e, c, t) for f, e, c, t in zip(*parts)])
        self.add_picture("val/overlay", overlay)
        write_whole(self.folder / "overlay.png", png(overlay))

    def save(self, scores: dict[str, float], results: list) -> None:
        """Write heatmap.safetensors: the network's tensors, named as in the heatmap graph, with how they score."""
        about = {"size": self.size, "step": self.reached_step, "geometry": str(self.val_frames.geometry)}
        state = self.average.best(self.network).state_dict()
        save_best(self.folder / HEATMAP_FILE, {PREFIX + key: value for key, value in state.items()}, about | scores)


def joined(results: list[dict], key: str) -> np.ndarray:
    """One key of all batches of a validation, [N, ...]."""
    return np.concatenate([result[key] for result in results])


def enlarge(frame: np.ndarray) -> np.ndarray:
    """A square picture, made about as wide as the network's whole input by repeating pixels."""
    times = max(1, INPUT_SIZE // frame.shape[0])
    return frame.repeat(times, 0).repeat(times, 1)


def initialise(network: HeatmapNetwork) -> HeatmapNetwork:
    """Set decoder convolutions He-normal, as no norm follows them, and the head to start at about the targets' mean."""
    for convolution in (*network.laterals, *network.ups):
        nn.init.kaiming_normal_(convolution.weight, a=0.2)
        nn.init.zeros_(convolution.bias)
    assert network.head.bias is not None
    nn.init.normal_(network.head.weight, std=START_SPREAD)
    nn.init.constant_(network.head.bias, START_LOGIT)
    return network


def load_heatmap(network: HeatmapNetwork, source: Path) -> dict:
    """Fill the network from a run folder, a heatmap.safetensors or a weights folder. Returns the file's facts.

    Raises EgostreamError for a source that is neither, or of another shape.
    """
    source = Path(source)
    path = source / HEATMAP_FILE if source.is_dir() else source
    facts: dict = {}
    if source.is_dir() and (source / "weights.json").is_file():
        tensors = graph_tensors(source, "heatmap")
    else:
        advice = "Train one: python tools/train_heatmap.py --help"
        tensors, facts = load_best_or_say(path, "heatmap network", advice)
    load_strictly(network, below(PREFIX, tensors), path)
    return facts
