"""Training of what follows the frozen heatmaps: joint embedding, temporal encoder, decoder, and the backbone's last layers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputMapping
from egostream.files import write_whole
from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.network.decoder import DecoderGraph
from tools.network.spec import NetworkSpec
from tools.network.temporal import build_temporal
from tools.network.vision import (
    FEATURE_CHANNELS,
    TOKEN_CHANNELS,
    BackboneGraph,
    HeatmapNetwork,
    JointEmbedding,
    Normalise,
)
from tools.training.frames import FrameSet, chunks, make_loader, spread
from tools.training.losses import pose_loss
from tools.training.overlay import draw_pose, png, sheet
from tools.training.stage import AveragedTraining
from tools.training.windows import WindowDataset

CHECKPOINT = "pose.safetensors"


class PoseHeads(nn.Module):
    """features [B, T, 384], valid [B, T], heatmaps [B, M, 15, 64, 64] of the ``chosen`` slots [B, M] -> joints [B, M, 15, 3]."""

    def __init__(self, spec: NetworkSpec, mean_joints: np.ndarray, dropout: float = 0.1, train_embedding: bool = True):
        super().__init__()
        self.spec = spec
        self.embedding = JointEmbedding().requires_grad_(spec.use_tokens and train_embedding)
        self.temporal = build_temporal(spec).requires_grad_(spec.use_motion)
        self.decoder = DecoderGraph(spec.use_tokens, spec.use_motion, spec.use_cross_attention, spec.use_identity)
        self.decoder.pose_head[-1].bias.data = torch.as_tensor(mean_joints.mean(0), dtype=torch.float32).clone()
        set_dropout(self.decoder, dropout)

    def forward(self, features, valid, heatmaps, chosen):
        B, M = chosen.shape
        if self.spec.use_motion:
            motion = self.temporal(features, valid)
            motion = motion.gather(1, chosen.unsqueeze(-1).expand(-1, -1, motion.shape[-1])).flatten(0, 1)
        else:
            motion = features.new_zeros(B * M, features.shape[-1])
        if self.spec.use_tokens:
            tokens = self.embedding(heatmaps.flatten(0, 1))
        else:
            tokens = features.new_zeros(B * M, heatmaps.shape[2], TOKEN_CHANNELS)
        return self.decoder(tokens, motion).unflatten(0, (B, M)).float()


def set_dropout(module: nn.Module, probability: float) -> None:
    """Change every dropout inside: layers, and what attention drops by itself."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = probability
        elif isinstance(part, nn.MultiheadAttention):
            part.dropout = probability


class Vision(nn.Module):
    """The networks that see frames: the heatmap network frozen, the backbone as far as ``trained`` says (all, layer4 or none).

    Frozen layers keep their batch statistics, too.
    """

    def __init__(self, heatmap: HeatmapNetwork, backbone: BackboneGraph, trained: str = "none"):
        super().__init__()
        self.normalise = Normalise()
        self.heatmap, self.backbone = heatmap.requires_grad_(False), backbone
        resnet = backbone.resnet
        below = [resnet.conv1, resnet.bn1, resnet.layer1, resnet.layer2, resnet.layer3]
        self.frozen = {"all": [heatmap], "layer4": [heatmap, *below], "none": [heatmap, backbone]}[trained]
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True):
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, frames, valid, chosen, motion=True):
        """frames u8 [B, T, 256, 256, 3], valid [B, T] -> features [B, T, 384] (zeros without motion, and in absent slots, which
        must not count in batch statistics), heatmaps [B, M, 15, 64, 64] of the chosen slots.
        """
        B, T = frames.shape[:2]
        features = torch.zeros(B, T, FEATURE_CHANNELS, device=frames.device)
        if motion:
            present = valid if valid.sum() > 1 else torch.ones_like(valid)  # statistics of one frame are none
            features = features.index_put((present,), self.backbone(frames[present]).float())
        with torch.no_grad():
            picked = frames[torch.arange(B, device=frames.device)[:, None], chosen]
            heatmaps = torch.sigmoid(self.heatmap(self.normalise(picked.flatten(0, 1))).float())
        return features, heatmaps.unflatten(0, chosen.shape)


class PoseNetwork(nn.Module):
    """Heads, and the backbone where it is trained with them: what a run averages and keeps."""

    def __init__(self, heads: PoseHeads, vision: Vision | None):
        super().__init__()
        self.heads, self.vision = heads, vision

    def forward(self, batch):
        if "features" in batch:
            features, heatmaps = batch["features"], batch["heatmaps"].float() / 255
        else:
            features, heatmaps = self.vision(
                batch["frames"], batch["valid"], batch["chosen"], self.heads.spec.use_motion
            )
        return self.heads(features, batch["valid"], heatmaps, batch["chosen"])


class PoseTraining(AveragedTraining):
    """The paper's pose loss on windows; validation on each window's newest frame; the best weights so far in the run folder."""

    def __init__(
        self,
        options,
        steps: int,
        network: PoseNetwork,
        train: WindowDataset,
        val: WindowDataset,
        val_frames: FrameSet,
        folder: Path,
    ):
        super().__init__(options, steps, folder, network)
        self.train_windows, self.val_windows, self.val_frames = train, val, val_frames
        self.register_buffer("best_mm", torch.tensor(float("inf")))
        self.results: list = []

    def configure_optimizers(self):
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        if self.options.weight_decay:
            return torch.optim.AdamW(parameters, lr=self.options.lr, weight_decay=self.options.weight_decay)
        return torch.optim.Adam(parameters, lr=self.options.lr)

    def train_dataloader(self):
        o = self.options
        draws = self.draws(len(self.train_windows), o.batch)
        return make_loader(self.train_windows, draws, o.workers)

    def val_dataloader(self):
        rows = spread(len(self.val_windows), self.options.val_frames)
        return make_loader(self.val_windows, chunks(rows, self.options.batch), min(self.options.workers, 1))

    def training_step(self, batch, _):
        loss = pose_loss(self.network(batch), batch["joints"], batch["weight"])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        estimated = self.average.best(self.network)(batch)[:, -1]
        kept = batch["weight"][:, -1] > 0
        self.results.append([x[kept].cpu().numpy() for x in (estimated, batch["joints"][:, -1], batch["row"])])

    def on_validation_epoch_end(self):
        results, self.results = self.results, []
        estimated, truth, rows = (np.concatenate(part) for part in zip(*results))
        if not len(rows):
            return
        scores = {"mpjpe_mm": mpjpe(estimated, truth), "pa_mpjpe_mm": pa_mpjpe(estimated, truth)}
        self.log_dict({f"val/{key}": value for key, value in scores.items()}, rank_zero_only=True)
        if self.trainer.is_global_zero:
            self.report(scores, estimated, rows)

    def report(self, scores: dict, estimated: np.ndarray, rows: np.ndarray) -> None:
        step = self.reached_step
        print(f"\npose step {step}: " + ", ".join(f"{key} {value:.1f}" for key, value in scores.items()), flush=True)
        overlay = self.overlay(estimated, rows)
        self.logger.experiment.add_image("val/overlay", overlay, step, dataformats="HWC")
        write_whole(self.folder / "overlay.png", png(overlay))
        if scores["mpjpe_mm"] < self.best_mm:
            self.best_mm.fill_(scores["mpjpe_mm"])
            save_pose(
                self.folder / CHECKPOINT,
                self.average.best(self.network),
                {"step": step, "windows": len(rows), **scores},
            )

    def overlay(self, estimated: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Estimated joints projected on their frames."""
        frames = self.val_frames
        camera = canonical_calibration(frames.geometry.calibration)
        mapping = InputMapping(frames.geometry.mapping, camera.size)
        shown = []
        for i in spread(len(rows), 12):
            pixels, seen = camera.lens.project(estimated[i].astype(float))
            keypoints = mapping.heatmap_from_canonical(pixels)
            shown.append(
                draw_pose(frames.image(int(rows[i])), keypoints, seen.astype(float), frames.keypoints[rows[i]])
            )
        return sheet(shown)


def save_pose(path: Path, network: PoseNetwork, facts: dict) -> None:
    """Heads, and the backbone if it was trained with them."""
    state = {f"heads.{key}": value for key, value in network.heads.state_dict().items()}
    if network.vision is not None:
        state |= {f"backbone.{key}": value for key, value in network.vision.backbone.state_dict().items()}
    tensors = {
        key: value.detach().cpu().contiguous()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    write_whole(path, save(tensors, {"facts": json.dumps(facts)}))


def load_pose(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors by name and facts of a file that ``save_pose`` wrote."""
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["facts"])
