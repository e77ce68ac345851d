"""What the stages of training share: averaged weights, validation, and single frames to learn from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tools.training.augment import Augmenter
from tools.training.device_frames import ResidentFrames, ResidentLabels
from tools.training.frames import Draws, FrameDataset, FrameSet, chunks, make_loader, spread
from tools.training.options import RunOptions

Module = TypeVar("Module", bound=torch.nn.Module)


class AveragedTraining(lightning.LightningModule):
    """What the training of every stage shares: options, length, run folder, and the moving average of its ``network``.

    A stage collects ``results`` in ``validation_step`` and says how they score. The best network is kept.
    """

    NAME: str  # of the stage's steps, as the terminal shows it: "pose step"
    JUDGED_BY: str  # the score by which the best network is kept, the lower the better
    BEST: str  # the buffer that remembers the best score in checkpoints

    options: RunOptions
    network: torch.nn.Module

    def __init__(self, options: RunOptions, steps: int, folder: Path, network: torch.nn.Module):
        super().__init__()
        self.options, self.steps, self.folder = options, steps, folder
        self.network = network.to(memory_format=torch.channels_last).train()  # Lightning leaves the mode as it finds it
        self.average = Average(self.network, options.ema)
        self.register_buffer(self.BEST, torch.tensor(float("inf")))
        self.results: list[Any] = []  # of the validation in progress, one entry a batch
        self.resumed_step = 0

    @property
    def reached_step(self) -> int:
        """Steps made so far, also where a finished run is only validated."""
        return max(self.trainer.global_step, self.resumed_step)

    def draws(self, rows: int, batch_size: int) -> Draws:
        """The rest of the run's batches, for this process."""
        trainer, seed = self.trainer, self.options.seed
        return Draws(rows, batch_size, self.steps, seed, trainer.global_step, self.global_rank, trainer.world_size)

    def validation_loader(self, dataset: Dataset, rows: np.ndarray, batch_size: int) -> DataLoader:
        """Batches of the given rows, always the same."""
        return make_loader(dataset, chunks(rows, batch_size), min(self.options.workers, 1))

    def scores(self, results: list) -> dict[str, float]:
        """Scores by name of a validation's results; empty when there is nothing to judge."""
        raise NotImplementedError

    def summary(self, scores: dict[str, float]) -> str:
        """What the terminal says of a validation, after the stage and the step."""
        return ", ".join(f"{name} {value:.1f}" for name, value in scores.items())

    def show(self, results: list) -> None:
        """Draw a validation's results for whoever watches the run. By default nothing is drawn."""

    def save(self, scores: dict[str, float], results: list) -> None:
        """Write the best network, and its scores as facts, into the run folder. results: what the scores are of."""
        raise NotImplementedError

    def on_validation_epoch_end(self) -> None:
        """Log, print and show a validation, and keep the network if it is the best so far."""
        results, self.results = self.results, []
        scores = self.scores(results) if results else {}
        if not scores:
            return
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, rank_zero_only=True)
        if not self.trainer.is_global_zero:
            return
        print(f"\n{self.NAME} {self.reached_step}: {self.summary(scores)}", flush=True)
        self.show(results)
        best = self.get_buffer(self.BEST)
        if scores[self.JUDGED_BY] < best:
            best.fill_(scores[self.JUDGED_BY])
            self.save(scores, results)

    def add_picture(self, name: str, picture: np.ndarray) -> None:
        """Show a uint8 RGB picture [H, W, 3] in TensorBoard."""
        board: Any = self.logger
        board.experiment.add_image(name, picture, self.reached_step, dataformats="HWC")

    def optimizer_step(self, *arguments, **options) -> None:
        """Step the optimiser, and the average with it: a checkpoint after the step holds both."""
        super().optimizer_step(*arguments, **options)
        self.average.update(self.network, self.trainer.global_step)
        optimizer: Any = self.optimizers()
        self.log("train/lr", optimizer.param_groups[0]["lr"])


class FrameTraining(AveragedTraining):
    """A stage that learns from single frames, ``size`` pixels wide, ``batch_size`` of them a step and device."""

    def __init__(
        self,
        options: RunOptions,
        steps: int,
        folder: Path,
        network: torch.nn.Module,
        frames: tuple[FrameSet, FrameSet],
        size: int,
        batch_size: int,
    ):
        """frames: those to train on, and those to validate on."""
        super().__init__(options, steps, folder, network)
        self.train_frames, self.val_frames = frames
        self.size, self.batch_size = size, batch_size
        self.skipped: torch.Tensor
        self.register_buffer("skipped", torch.tensor(0))  # frames that could not be read, so far
        self.resident: ResidentFrames | None = None

    def train_dataloader(self) -> DataLoader:
        """Single frames, augmented; ``frames_of`` its batches are the pictures."""
        o, frames = self.options, self.train_frames
        augmenter = Augmenter(frames.geometry, o.rotate, o.mirror, o.looks)
        dataset: Dataset
        if o.resident:
            self.resident = ResidentFrames(frames, self.size, augmenter, o.seed, self.device)
            dataset = ResidentLabels(frames, self.resident)
        else:
            dataset = FrameDataset(frames, self.size, augmenter, o.seed)
        return make_loader(dataset, self.draws(len(frames), self.batch_size), o.workers)

    def frames_of(self, batch: dict) -> torch.Tensor:
        """The pictures of a training batch, uint8 [B, S, S, 3]."""
        if self.resident is None:
            return batch["frame"]
        return self.resident.take(batch, self.trainer.global_step, self.global_rank)

    def said_of_skipped(self) -> str:
        """How many frames could not be read, for the end of a line; empty when all could."""
        return f", {int(self.skipped)} unreadable frames replaced" if self.skipped else ""

    def frame_rows(self) -> np.ndarray:
        """Rows of the frames to validate on, evenly spaced."""
        return spread(len(self.val_frames), self.options.val_frames)


class Average(torch.nn.Module):
    """A moving average of a module's parameters and statistics; ``module`` itself when the decay is 0."""

    def __init__(self, module: torch.nn.Module, decay: float):
        super().__init__()
        self.decay = decay
        self.restart(module)

    def restart(self, module: torch.nn.Module) -> None:
        """Begin at the module's present weights."""
        self.kept: Any = copy.deepcopy(module).requires_grad_(False).eval() if self.decay else None

    @torch.no_grad()
    def update(self, module: torch.nn.Module, step: int) -> None:
        """Move the average towards ``module``. The first steps count more: the weights before are soon forgotten."""
        if self.kept is None:
            return
        kept, new = self.kept.state_dict(), module.state_dict()
        floating = [key for key, value in kept.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [kept[k] for k in floating], [new[k] for k in floating], 1 - min(self.decay, (1 + step) / (10 + step))
        )

    def best(self, module: Module) -> Module:
        """The average of ``module``, or ``module`` itself where averaging is off."""
        return module if self.kept is None else self.kept
