"""A stage of training with averaged weights."""

from __future__ import annotations

import copy
from pathlib import Path

import lightning
import torch

from tools.training.augment import Augmenter
from tools.training.device_frames import ResidentFrames, ResidentLabels
from tools.training.frames import Draws, FrameDataset, FrameSet, make_loader


class AveragedTraining(lightning.LightningModule):
    """What the training of every stage shares: options, length, run folder, and the moving average of its ``network``."""

    def __init__(self, options, steps: int, folder: Path, network: torch.nn.Module):
        super().__init__()
        self.options, self.steps, self.folder = options, steps, folder
        self.network = network.to(memory_format=torch.channels_last).train()  # Lightning leaves the mode as it finds it
        self.average = Average(self.network, options.ema)
        self.resumed_step = 0

    @property
    def reached_step(self) -> int:
        """Steps made so far, also where a finished run is only validated."""
        return max(self.trainer.global_step, self.resumed_step)

    def draws(self, rows: int, batch: int) -> Draws:
        """The rest of the run's batches, for this process."""
        return Draws(
            rows,
            batch,
            self.steps,
            self.options.seed,
            self.trainer.global_step,
            self.global_rank,
            self.trainer.world_size,
        )

    def frame_loader(self, frames: FrameSet, size: int, batch: int):
        """Single frames to train on, augmented; ``frames_of`` its batches are the pictures."""
        o = self.options
        augmenter = Augmenter(frames.geometry, o.rotate, o.mirror, o.looks)
        if o.resident:
            self.resident = ResidentFrames(frames, size, augmenter, o.seed, self.device)
            dataset = ResidentLabels(frames, self.resident)
        else:
            dataset = FrameDataset(frames, size, augmenter, o.seed)
        return make_loader(dataset, self.draws(len(frames), batch), o.workers)

    def frames_of(self, batch: dict) -> torch.Tensor:
        """uint8 [B, S, S, 3]"""
        return (
            batch["frame"]
            if "frame" in batch
            else self.resident.take(batch, self.trainer.global_step, self.global_rank)
        )

    def optimizer_step(self, *arguments, **options):
        """The average belongs to the step: a checkpoint after it holds both."""
        super().optimizer_step(*arguments, **options)
        self.average.update(self.network, self.trainer.global_step)
        self.log("train/lr", self.optimizers().param_groups[0]["lr"])


class Average(torch.nn.Module):
    """A moving average of a module's parameters and statistics; ``module`` itself when the decay is 0."""

    def __init__(self, module: torch.nn.Module, decay: float):
        super().__init__()
        self.decay = decay
        self.restart(module)

    def restart(self, module: torch.nn.Module) -> None:
        """Begin at the module's present weights."""
        self.kept = copy.deepcopy(module).requires_grad_(False).eval() if self.decay else None

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """The first steps count more: what the weights were before training is soon forgotten."""
        if self.kept is None:
            return
        kept, new = self.kept.state_dict(), module.state_dict()
        floating = [key for key, value in kept.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [kept[k] for k in floating], [new[k] for k in floating], 1 - min(self.decay, (1 + step) / (10 + step))
        )

    def best(self, module: torch.nn.Module) -> torch.nn.Module:
        return module if self.kept is None else self.kept
