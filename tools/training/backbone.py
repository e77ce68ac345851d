"""Training of the motion backbone alone, on single frames, where no ImageNet weights are at hand.

A linear layer reads the pose off its feature and takes the pose loss. Where a keypoint lies is a much denser lesson than
the pose behind a global average, which alone leaves a random network near the mean pose for thousands of steps: two
1x1 convolutions read coarse heatmaps off the last two stages. All of these layers are dropped afterwards.
"""

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
from egostream.graph.weights import load_tensors, load_weights
from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.network.vision import FEATURE_CHANNELS, BackboneGraph, stages
from tools.training.frames import FrameDataset, FrameSet, chunks, make_loader, spread
from tools.training.heatmap import load_strictly
from tools.training.imagenet import load_imagenet
from tools.training.losses import heatmap_loss, heatmap_targets, pose_loss
from tools.training.stage import AveragedTraining

CHECKPOINT = "backbone.safetensors"
MAP_WEIGHT = 0.1  # of the coarse heatmaps' loss


class FramePose(nn.Module):
    """frame u8 [N, S, S, 3] -> joints [N, 15, 3] from one frame: the backbone graph and a linear layer.

    ``with_maps`` gives heatmap logits of layer3 [N, 15, S/16, S/16] and layer4 [N, 15, S/32, S/32] as well.
    """

    def __init__(self, mean_joints: np.ndarray):
        super().__init__()
        self.backbone = BackboneGraph()
        self.head = nn.Linear(FEATURE_CHANNELS, mean_joints.size)
        nn.init.normal_(self.head.weight, std=0.01)
        self.head.bias.data = torch.as_tensor(mean_joints, dtype=torch.float32).flatten().clone()
        self.maps = nn.ModuleList(nn.Conv2d(channels, len(mean_joints), 1) for channels in (1024, 2048))
        for layer in self.maps:
            nn.init.constant_(layer.bias, -4.0)

    def forward(self, frame):
        return self.with_maps(frame)[0]

    def with_maps(self, frame):
        graph = self.backbone
        outputs = stages(graph.resnet, graph.normalise(frame))
        feature = graph.bn(graph.linear(outputs[-1].mean((2, 3))))
        return self.head(feature).unflatten(-1, (-1, 3)).float(), [layer(x) for layer, x in zip(self.maps, outputs[2:])]


class BackboneTraining(AveragedTraining):
    """Pose loss on single frames; the best weights so far in the run folder."""

    def __init__(self, options, steps: int, train: FrameSet, val: FrameSet, folder: Path):
        super().__init__(options, steps, folder, FramePose(train.joints.mean(0)))
        self.train_frames, self.val_frames = train, val
        self.register_buffer("best_mm", torch.tensor(float("inf")))
        self.register_buffer("skipped", torch.tensor(0))
        self.results: list = []

    def configure_optimizers(self):
        return torch.optim.AdamW(self.network.parameters(), lr=self.options.backbone_lr, weight_decay=1e-2)

    def train_dataloader(self):
        return self.frame_loader(self.train_frames, self.options.backbone_size, self.options.backbone_batch)

    def val_dataloader(self):
        rows = spread(len(self.val_frames), self.options.val_frames)
        dataset = FrameDataset(self.val_frames, self.options.backbone_size)
        return make_loader(dataset, chunks(rows, self.options.backbone_batch), min(self.options.workers, 1))

    def training_step(self, batch, _):
        joints, maps = self.network.with_maps(self.frames_of(batch))
        loss = pose_loss(joints, batch["joints"])
        self.log("train/pose", loss, prog_bar=True)
        for logits in maps:  # summed over pixels, so that coarse and fine maps weigh the same
            size = logits.shape[-1]
            loss = loss + MAP_WEIGHT * size**2 * heatmap_loss(logits, heatmap_targets(batch["keypoints"].float(), size))
        self.skipped += batch["skipped"].sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, _):
        self.results.append(
            (self.average.best(self.network)(batch["frame"]).cpu().numpy(), batch["joints"].cpu().numpy())
        )

    def on_validation_epoch_end(self):
        results, self.results = self.results, []
        estimated, truth = (np.concatenate(side) for side in zip(*results))
        scores = {"mpjpe_mm": mpjpe(estimated, truth), "pa_mpjpe_mm": pa_mpjpe(estimated, truth)}
        self.log_dict({f"val/{key}": value for key, value in scores.items()}, rank_zero_only=True)
        if not self.trainer.is_global_zero:
            return
        step = self.reached_step
        skipped = f", {int(self.skipped)} unreadable frames replaced" if self.skipped else ""
        print(f"\nbackbone step {step}: " + ", ".join(f"{k} {v:.1f}" for k, v in scores.items()) + skipped, flush=True)
        if scores["mpjpe_mm"] < self.best_mm:
            self.best_mm.fill_(scores["mpjpe_mm"])
            facts = {"size": self.options.backbone_size, "step": step, **scores}
            save_frame_pose(self.folder / CHECKPOINT, self.average.best(self.network), facts)


def save_frame_pose(path: Path, network: FramePose, facts: dict) -> None:
    """The backbone graph's tensors by their own names, the auxiliary layer's under ``head.``, and how they score."""
    named = network.backbone.state_dict() | {f"head.{key}": value for key, value in network.head.state_dict().items()}
    tensors = {
        key: value.detach().cpu().contiguous()
        for key, value in named.items()
        if not key.endswith("num_batches_tracked")
    }
    write_whole(path, save(tensors, {"facts": json.dumps(facts)}))


def load_backbone(backbone: BackboneGraph, source: str, head: nn.Linear | None = None) -> None:
    """Fill a backbone from "imagenet", a run folder, a safetensors file, a weights folder or torchvision's state dict.

    head: the auxiliary layer, filled too where the source has it.
    """
    path = Path(source)
    if source == "imagenet" or path.suffix in (".pth", ".pt"):
        load_imagenet(backbone.resnet, "resnet50", source)
        return
    if (path / "weights.json").is_file():
        tensors = {key: torch.from_numpy(value) for key, value in load_tensors(load_weights(path), "backbone").items()}
    else:
        if path.is_dir():
            path = next(
                (p for p in (path / CHECKPOINT, path / "backbone" / CHECKPOINT) if p.is_file()), path / CHECKPOINT
            )
        try:
            with safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        except (OSError, SafetensorError) as error:
            raise EgostreamError(
                f"no backbone in {path}: {error}. Train one with --stage backbone, or give imagenet"
            ) from None
    if head is not None and "head.weight" in tensors:
        load_strictly(
            head, {key.removeprefix("head."): value for key, value in tensors.items() if key.startswith("head.")}, path
        )
    load_strictly(backbone, {key: value for key, value in tensors.items() if not key.startswith("head.")}, path)
