"""Training of the motion backbone alone, on single frames, where no ImageNet weights are at hand.

A linear layer reads the pose off its feature and takes the pose loss. Where a keypoint lies is a much denser lesson
than the pose behind a global average, which alone leaves a random network near the mean pose for thousands of steps.
Two 1x1 convolutions therefore read coarse heatmaps off the last two stages. All of these layers are dropped afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.network.vision import FEATURE_CHANNELS, BackboneGraph, stages
from tools.training.best_tensors import (
    BACKBONE_FILE,
    below,
    graph_tensors,
    load_best_or_say,
    load_strictly,
    save_best,
)
from tools.training.frames import FrameDataset, FrameSet
from tools.training.imagenet import load_imagenet
from tools.training.losses import heatmap_loss, heatmap_targets, pose_loss
from tools.training.options import BackboneOptions
from tools.training.stage import FrameTraining

MAP_WEIGHT = 0.1  # of the coarse heatmaps' loss. Chosen by hand; not measured
MAP_CHANNELS = (1024, 2048)  # of the ResNet-50's last two stages
WEIGHT_DECAY = 1e-2  # AdamW's own default
START_SPREAD, START_LOGIT = 0.01, -4.0  # of the reading layers. Chosen by hand; not measured
HEAD = "head."  # prefix of the reading layer's tensors in a file: the other tensors are the backbone graph's


class PoseReader(nn.Module):
    """frame u8 [N, S, S, 3] -> joints [N, 15, 3] from one frame: the backbone graph and a linear layer.

    ``with_maps`` gives heatmap logits of layer3 [N, 15, S/16, S/16] and layer4 [N, 15, S/32, S/32] as well.
    """

    def __init__(self, mean_joints: np.ndarray):
        """mean_joints [15, 3], metres: what the untrained network answers."""
        super().__init__()
        self.backbone = BackboneGraph()
        self.head = nn.Linear(FEATURE_CHANNELS, mean_joints.size)
        nn.init.normal_(self.head.weight, std=START_SPREAD)
        self.head.bias.data = torch.as_tensor(mean_joints, dtype=torch.float32).flatten().clone()
        layers = [nn.Conv2d(channels, len(mean_joints), 1) for channels in MAP_CHANNELS]
        for layer in layers:
            assert layer.bias is not None
            nn.init.constant_(layer.bias, START_LOGIT)
        self.maps = nn.ModuleList(layers)

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        return self.with_maps(frame)[0]

    def with_maps(self, frame: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """joints [N, 15, 3] metres, and the heatmap logits of layer3 and layer4."""
        graph = self.backbone
        outputs = stages(graph.resnet, graph.normalise(frame))
        feature = graph.bn(graph.linear(outputs[-1].mean((2, 3))))
        return self.head(feature).unflatten(-1, (-1, 3)).float(), [layer(x) for layer, x in zip(self.maps, outputs[2:])]


class BackboneTraining(FrameTraining):
    """Pose loss on single frames; the best weights so far in the run folder."""

    NAME, JUDGED_BY, BEST = "backbone step", "mpjpe_mm", "best_mm"

    options: BackboneOptions
    network: PoseReader

    def __init__(self, options: BackboneOptions, steps: int, train: FrameSet, val: FrameSet, folder: Path):
        network, size = PoseReader(train.joints.mean(0)), options.backbone_size
        super().__init__(options, steps, folder, network, (train, val), size, options.backbone_batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the backbone and its readers."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.options.backbone_lr, weight_decay=WEIGHT_DECAY)

    def val_dataloader(self) -> DataLoader:
        """Frames as they are."""
        return self.validation_loader(FrameDataset(self.val_frames, self.size), self.frame_rows(), self.batch_size)

    def training_step(self, batch: dict, _) -> torch.Tensor:
        """Loss of one batch: the pose's, and that of the coarse heatmaps."""
        joints, maps = self.network.with_maps(self.frames_of(batch))
        loss = pose_loss(joints, batch["joints"])
        self.log("train/pose", loss, prog_bar=True)
        for logits in maps:  # summed over pixels, so that coarse and fine maps weigh the same
            size = logits.shape[-1]
            loss = loss + MAP_WEIGHT * size**2 * heatmap_loss(logits, heatmap_targets(batch["keypoints"].float(), size))
        self.skipped += batch["skipped"].sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict, _) -> None:
        """Keep the averaged network's joints of one batch, and the true ones."""
        estimated = self.average.best(self.network)(batch["frame"])
        self.results.append((estimated.cpu().numpy(), batch["joints"].cpu().numpy()))

    def scores(self, results: list) -> dict[str, float]:
        """Errors over all frames, mm."""
        estimated, truth = (np.concatenate(side) for side in zip(*results))
        return {"mpjpe_mm": mpjpe(estimated, truth), "pa_mpjpe_mm": pa_mpjpe(estimated, truth)}

    def summary(self, scores: dict[str, float]) -> str:
        """Scores, and how many frames could not be read."""
        return super().summary(scores) + self.said_of_skipped()

    def save(self, scores: dict[str, float], results: list) -> None:
        """Write backbone.safetensors: the graph's tensors by their own names, the reader's below HEAD."""
        best = self.average.best(self.network)
        state = best.backbone.state_dict() | {HEAD + key: value for key, value in best.head.state_dict().items()}
        save_best(self.folder / BACKBONE_FILE, state, {"size": self.size, "step": self.reached_step} | scores)


def load_backbone(backbone: BackboneGraph, source: str, head: nn.Linear | None = None) -> None:
    """Fill a backbone from "imagenet", a run folder, a safetensors file, a weights folder or torchvision's state dict.

    head: the reading layer, filled too where the source has it. Raises EgostreamError for a source that does not fit.
    """
    path = Path(source)
    if is_imagenet(source):
        load_imagenet(backbone.resnet, "resnet50", source)
        return
    if (path / "weights.json").is_file():
        tensors = graph_tensors(path, "backbone")
    else:
        path = backbone_file(path)
        advice = "Train one with --stage backbone, or give imagenet"
        tensors, _ = load_best_or_say(path, "backbone", advice)
    read = below(HEAD, tensors)
    if head is not None and "weight" in read:
        load_strictly(head, read, path)
    load_strictly(backbone, {key: value for key, value in tensors.items() if not key.startswith(HEAD)}, path)


def is_imagenet(source: str) -> bool:
    """Whether a source is a plain ResNet: its last layer, the projection to a feature, nobody trained."""
    return source == "imagenet" or Path(source).suffix in (".pth", ".pt")


def backbone_file(path: Path) -> Path:
    """A run folder's backbone: that of its only stage, or of one of several. Any other path is the file itself."""
    if not path.is_dir():
        return path
    files = (path / BACKBONE_FILE, path / "backbone" / BACKBONE_FILE)
    return next((file for file in files if file.is_file()), files[0])
