"""Training of what follows the frozen heatmaps: embedding, temporal encoder, decoder, the backbone's last layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

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
from tools.training.best_tensors import POSE_FILE, save_best
from tools.training.frames import FrameSet, make_loader, spread
from tools.training.losses import pose_loss
from tools.training.options import PoseOptions
from tools.training.overlay import draw_pose, png, sheet
from tools.training.stage import AveragedTraining
from tools.training.windows import WindowDataset

SHOWN = 12  # validated poses in an overlay


class PoseHeads(nn.Module):
    """features [B, T, 384], valid [B, T], heatmaps [B, M, 15, 64, 64] of the ``chosen`` slots [B, M] -> joints.

    joints [B, M, 15, 3] are in metres, camera axes.
    """

    def __init__(self, spec: NetworkSpec, mean_joints: np.ndarray, dropout: float = 0.1, train_embedding: bool = True):
        """mean_joints [15, 3], metres: every joint begins at their mean. train_embedding: False leaves it frozen."""
        super().__init__()
        self.spec = spec
        self.embedding = JointEmbedding().requires_grad_(spec.use_tokens and train_embedding)
        self.temporal = build_temporal(spec).requires_grad_(spec.use_motion)
        self.decoder = DecoderGraph(spec.use_tokens, spec.use_motion, spec.use_cross_attention, spec.use_identity)
        last: Any = self.decoder.pose_head[-1]
        last.bias.data = torch.as_tensor(mean_joints.mean(0), dtype=torch.float32).clone()
        set_dropout(self.decoder, dropout)

    def forward(
        self, features: torch.Tensor, valid: torch.Tensor, heatmaps: torch.Tensor, chosen: torch.Tensor
    ) -> torch.Tensor:
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
    """The networks that see frames: the heatmap network frozen, the backbone trained as far as ``trained`` says.

    trained: "all", "layer4" (with what follows it) or "none". Frozen layers keep their batch statistics, too.
    """

    def __init__(self, heatmap: HeatmapNetwork, backbone: BackboneGraph, trained: str = "none"):
        super().__init__()
        self.normalise = Normalise()
        self.heatmap, self.backbone = heatmap.requires_grad_(False), backbone
        resnet: Any = backbone.resnet
        early: list[nn.Module] = [resnet.conv1, resnet.bn1, resnet.layer1, resnet.layer2, resnet.layer3]
        frozen: dict[str, list[nn.Module]] = {"all": [], "layer4": early, "none": [backbone]}
        self.frozen: list[nn.Module] = [heatmap, *frozen[trained]]
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Vision:
        """Set the mode of what is trained; what is frozen stays in evaluation."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(
        self, frames: torch.Tensor, valid: torch.Tensor, chosen: torch.Tensor, motion: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """frames u8 [B, T, 256, 256, 3], valid [B, T] -> features [B, T, 384], heatmaps [B, M, 15, 64, 64].

        Features are zeros without motion, and in absent slots, which must not count in batch statistics.
        Heatmaps are those of the ``chosen`` slots [B, M].
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
        """vision: None where windows come with their features, out of the cache."""
        super().__init__()
        self.heads, self.vision = heads, vision

    def forward(self, batch: dict) -> torch.Tensor:
        if "features" in batch:
            features, heatmaps = batch["features"], batch["heatmaps"].float() / 255
        else:
            assert self.vision is not None, "windows of frames need the networks that see them"
            features, heatmaps = self.vision(
                batch["frames"], batch["valid"], batch["chosen"], self.heads.spec.use_motion
            )
        return self.heads(features, batch["valid"], heatmaps, batch["chosen"])


class PoseTraining(AveragedTraining):
    """The pose loss on windows; validation on each window's newest frame; the best weights so far in the run folder."""

    NAME, JUDGED_BY, BEST = "pose step", "mpjpe_mm", "best_mm"

    options: PoseOptions
    network: PoseNetwork

    def __init__(
        self,
        options: PoseOptions,
        steps: int,
        network: PoseNetwork,
        windows: tuple[WindowDataset, WindowDataset],
        val_frames: FrameSet,
        folder: Path,
    ):
        """windows: those to train on, and those to validate on, which ``val_frames`` shows."""
        super().__init__(options, steps, folder, network)
        (self.train_windows, self.val_windows), self.val_frames = windows, val_frames

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over what is trained; AdamW where there is weight decay."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        if self.options.weight_decay:
            return torch.optim.AdamW(parameters, lr=self.options.lr, weight_decay=self.options.weight_decay)
        return torch.optim.Adam(parameters, lr=self.options.lr)

    def train_dataloader(self) -> DataLoader:
        """Windows, drawn."""
        draws = self.draws(len(self.train_windows), self.options.batch)
        return make_loader(self.train_windows, draws, self.options.workers)

    def val_dataloader(self) -> DataLoader:
        """Whole windows, evenly spaced."""
        rows = spread(len(self.val_windows), self.options.val_frames)
        return self.validation_loader(self.val_windows, rows, self.options.batch)

    def training_step(self, batch: dict, _) -> torch.Tensor:
        """Loss of one batch."""
        loss = pose_loss(self.network(batch), batch["joints"], batch["weight"])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict, _) -> None:
        """Keep estimated and true joints [N, 15, 3] and rows [N] of the newest frames that could be read."""
        estimated = self.average.best(self.network)(batch)[:, -1]
        kept = batch["weight"][:, -1] > 0
        self.results.append([x[kept].cpu().numpy() for x in (estimated, batch["joints"][:, -1], batch["row"])])

    def scores(self, results: list) -> dict[str, float]:
        """Errors over all windows, mm; empty when no newest frame could be read."""
        estimated, truth, rows = (np.concatenate(part) for part in zip(*results))
        return {"mpjpe_mm": mpjpe(estimated, truth), "pa_mpjpe_mm": pa_mpjpe(estimated, truth)} if len(rows) else {}

    def show(self, results: list) -> None:
        """Estimated joints projected on a few of their frames, in TensorBoard and as overlay.png."""
        estimated, _, rows = (np.concatenate(part) for part in zip(*results))
        overlay = self.overlay(estimated, rows)
        self.add_picture("val/overlay", overlay)
        write_whole(self.folder / "overlay.png", png(overlay))

    def overlay(self, estimated: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Estimated joints [N, 15, 3] drawn on the frames of their rows [N], beside the truth: RGB [H, W, 3]."""
        frames = self.val_frames
        camera = canonical_calibration(frames.geometry.calibration)
        mapping = InputMapping(frames.geometry.mapping, camera.size)
        drawn = []
        for i in spread(len(rows), SHOWN):
            pixels, seen = camera.lens.project(estimated[i].astype(float))
            keypoints, truth = mapping.heatmap_from_canonical(pixels), frames.keypoints[rows[i]]
            drawn.append(draw_pose(frames.image(int(rows[i])), keypoints, seen.astype(float), truth))
        return sheet(drawn)

    def save(self, scores: dict[str, float], results: list) -> None:
        """Write pose.safetensors: the heads, and the backbone if it was trained with them."""
        best = self.average.best(self.network)
        state = {f"heads.{key}": value for key, value in best.heads.state_dict().items()}
        if best.vision is not None:
            state |= {f"backbone.{key}": value for key, value in best.vision.backbone.state_dict().items()}
        count = sum(len(rows) for _, _, rows in results)
        save_best(self.folder / POSE_FILE, state, {"step": self.reached_step, "windows": count} | scores)
