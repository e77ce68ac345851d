"""Training of the heatmap network on single frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.weights import load_tensors, load_weights
from tools.evaluation.metrics import pck
from tools.network.vision import HeatmapNetwork, Normalise
from tools.training.frames import FrameDataset, FrameSet, chunks, make_loader, spread
from tools.training.losses import heatmap_loss, heatmap_targets
from tools.training.overlay import draw_pose, png, sheet
from tools.training.stage import AveragedTraining

CHECKPOINT = "heatmap.safetensors"
PREFIX = "network."  # of the heatmap graph's tensors: the joint embedding beside them is trained with the pose


class HeatmapTraining(AveragedTraining):
    """frames -> logits -> loss; validation by PCK; the best weights so far in the run folder."""

    def __init__(self, options, steps: int, train: FrameSet, val: FrameSet, folder: Path):
        super().__init__(options, steps, folder, initialise(HeatmapNetwork()))
        self.train_frames, self.val_frames = train, val
        self.normalise = Normalise()
        self.register_buffer("best_loss", torch.tensor(float("inf")))
        self.register_buffer("skipped", torch.tensor(0))
        self.results: list[dict] = []

    def configure_optimizers(self):
        return torch.optim.AdamW(self.network.parameters(), lr=self.options.lr, weight_decay=self.options.weight_decay)

    def train_dataloader(self):
        return self.frame_loader(self.train_frames, self.options.size, self.options.batch)

    def val_dataloader(self):
        rows = spread(len(self.val_frames), self.options.val_frames)
        return make_loader(
            FrameDataset(self.val_frames, self.options.size),
            chunks(rows, 2 * self.options.batch),
            min(self.options.workers, 1),
        )

    def loss(self, logits, keypoints):
        return heatmap_loss(logits, heatmap_targets(keypoints.float(), logits.shape[-1]), self.options.loss)

    def training_step(self, batch, _):
        loss = self.loss(self.network(self.normalise(self.frames_of(batch))), batch["keypoints"])
        self.skipped += batch["skipped"].sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        logits = self.average.best(self.network)(self.normalise(batch["frame"])).float()
        heatmaps = torch.sigmoid(logits).cpu().numpy()
        peaks = [heatmap_peaks(maps) for maps in heatmaps]
        self.results.append({
            "loss": self.loss(logits, batch["keypoints"]).item() * len(logits), "frames": len(logits),
            "estimated": np.stack([xy for xy, _ in peaks]) * (64 / heatmaps.shape[-1]), "confidence": np.stack([peak for _, peak in peaks]),
            "truth": batch["keypoints"].cpu().numpy(), "visible": batch["visible"].cpu().numpy(), "frame": batch["frame"].cpu().numpy(),
        })  # fmt: skip

    def on_validation_epoch_end(self):
        results, self.results = self.results, []
        if not results:
            return
        joined = {
            key: np.concatenate([r[key] for r in results])
            for key in ("estimated", "confidence", "truth", "visible", "frame")
        }
        loss = sum(r["loss"] for r in results) / sum(r["frames"] for r in results)
        inside = (np.isfinite(joined["truth"]) & (joined["truth"] >= 0) & (joined["truth"] < 64)).all(-1)
        scores = {
            "loss": loss,
            "pck_10": pck(joined["estimated"], joined["truth"], 6.4, inside),
            "pck_5": pck(joined["estimated"], joined["truth"], 3.2, inside),
            "pck_5_visible": pck(joined["estimated"], joined["truth"], 3.2, joined["visible"]),
        }
        self.log_dict({f"val/{key}": value for key, value in scores.items()}, rank_zero_only=True)
        if self.trainer.is_global_zero:
            self.report(scores, joined)

    def report(self, scores: dict, joined: dict) -> None:
        step = self.reached_step
        line = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
        skipped = f", {int(self.skipped)} unreadable frames replaced" if self.skipped else ""
        print(f"\nstep {step}: {line}{skipped}", flush=True)
        shown = spread(len(joined["frame"]), 12)
        parts = (joined[key][shown] for key in ("frame", "estimated", "confidence", "truth"))
        overlay = sheet([draw_pose(enlarge(f), e, c, t) for f, e, c, t in zip(*parts)])
        self.logger.experiment.add_image("val/overlay", overlay, step, dataformats="HWC")
        write_whole(self.folder / "overlay.png", png(overlay))
        if scores["loss"] < self.best_loss:
            self.best_loss.fill_(scores["loss"])
            facts = {"size": self.options.size, "step": step, "geometry": str(self.val_frames.geometry), **scores}
            save_heatmap(self.folder / CHECKPOINT, self.average.best(self.network), facts)


def enlarge(frame: np.ndarray) -> np.ndarray:
    return frame.repeat(max(1, 256 // frame.shape[0]), 0).repeat(max(1, 256 // frame.shape[0]), 1)


def initialise(network: HeatmapNetwork) -> HeatmapNetwork:
    """He-normal decoder convolutions (no norm follows them), and a head that starts at the targets' mean of about 0.6%."""
    for convolution in (*network.laterals, *network.ups):
        nn.init.kaiming_normal_(convolution.weight, a=0.2)
        nn.init.zeros_(convolution.bias)
    nn.init.normal_(network.head.weight, std=0.01)
    nn.init.constant_(network.head.bias, -5.0)
    return network


def save_heatmap(path: Path, network: HeatmapNetwork, facts: dict) -> None:
    """The heatmap network's tensors, named as in the heatmap graph, with how they score."""
    tensors = {
        PREFIX + k: v.detach().cpu().contiguous()
        for k, v in network.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    write_whole(path, save(tensors, {"facts": json.dumps(facts)}))


def load_heatmap(network: HeatmapNetwork, source: Path) -> dict:
    """Fill the network from a run folder, a heatmap.safetensors or a weights folder. Returns what the file says of itself."""
    source = Path(source)
    path = source / CHECKPOINT if source.is_dir() else source
    facts = {}
    if source.is_dir() and (source / "weights.json").is_file():
        tensors = {key: torch.from_numpy(value) for key, value in load_tensors(load_weights(source), "heatmap").items()}
    else:
        try:
            with safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
                facts = json.loads((file.metadata() or {}).get("facts", "{}"))
        except (OSError, SafetensorError) as error:
            raise EgostreamError(
                f"no heatmap network in {path}: {error}. Train one: python tools/train_heatmap.py --help"
            ) from None
    tensors = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    load_strictly(network, tensors, path)
    return facts


def load_strictly(module: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Every tensor of the right shape, none unknown; batch counters may be absent."""
    try:
        result = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise EgostreamError(f"{source} does not fit: {' '.join(str(error).split())[:200]}") from None
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        problem = f"lacks {missing[0]}" if missing else f"has unknown tensor {result.unexpected_keys[0]}"
        raise EgostreamError(f"{source} {problem}")
