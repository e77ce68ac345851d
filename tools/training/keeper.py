"""Keeping a training run: its checkpoints, budget, learning rate, progress, and the signals that end it."""

from __future__ import annotations

import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from egostream.errors import EgostreamError, first_line
from egostream.files import replacing
from tools.paced import Paced


def schedule(fraction: float, step: int, warmup: int, final: float) -> float:
    """Learning-rate factor: a cosine from 1 to ``final`` over the run, after a linear warm-up of some steps."""
    cosine = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    return cosine * min(1.0, (step + 1) / max(warmup, 1))


SIGNALS = (signal.SIGINT, signal.SIGTERM)  # they end a run, after its checkpoint
CHECK_STEPS = 10  # steps between looks at whether the loss is a number: looking waits for a GPU


class Bar(TQDMProgressBar):
    """Lightning's bar without its words for epochs: a run is one long epoch, limited by steps or by time."""

    def __init__(self, keeper: RunKeeper):
        is_terminal = sys.stderr.isatty()
        super().__init__(refresh_rate=20 if is_terminal else 0)  # a bar in a log is a line without an end
        self.keeper, self.paced = keeper, Paced()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Show the whole run as one bar."""
        self.begun = time.monotonic(), trainer.global_step
        super().on_train_start(trainer, module)
        self.train_progress_bar.total = self.keeper.steps
        self.train_progress_bar.set_description("training")

    def on_train_epoch_start(self, trainer: Trainer, *_) -> None:
        """Leave the bar as it is: Lightning would begin another, with the epoch's number."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar on, or say every few seconds in a log how far the run is."""
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        if self.paced.is_due and trainer.is_global_zero and not getattr(module, "has_own_words", False):
            begun, before = self.begun
            rate = (trainer.global_step - before) / (time.monotonic() - begun)
            used, loss = min(1.0, self.keeper.fraction(trainer)), outputs["loss"].item()
            self.paced.say(f"step {trainer.global_step}, {rate:.2g} a second, {used:.0%} done, loss {loss:.4g}")

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict:
        """What stands beside the bar: losses, and the share of the time that is used where it is limited."""
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)
        return metrics | ({"time used": f"{self.keeper.fraction(trainer):.0%}"} if self.keeper.minutes else {})


class RunKeeper(Callback):
    """Learning rate, end and checkpoints of a run by its budget: steps, and minutes of training in all its parts.

    The nearer end of the two drives the cosine, so that a run limited by time ends with a low rate too.
    """

    def __init__(
        self, folder: Path, steps: int, minutes: float | None, checkpoint_minutes: float, warmup: int, final: float
    ):
        self.path = folder / "last.ckpt"
        self.steps, self.minutes, self.checkpoint_s = steps, minutes, checkpoint_minutes * 60
        self.warmup, self.final = warmup, final
        self.elapsed_s = 0.0
        self.saved_step = -1
        self.validated_step = -1
        self.interrupted = False

    def state_dict(self) -> dict:
        """What a checkpoint remembers of the run."""
        return {"elapsed_s": self.elapsed_s, "validated_step": self.validated_step}

    def load_state_dict(self, state: dict) -> None:
        """Go on with what a checkpoint remembers."""
        self.elapsed_s, self.validated_step = state["elapsed_s"], state.get("validated_step", -1)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock, and heed the signals that stop a run."""
        self.tick_s = self.saved_s = time.monotonic()
        optimizer: Any = module.configure_optimizers()
        self.lr = optimizer.defaults["lr"]  # of this command, whatever the checkpoint's was
        for number in SIGNALS:
            signal.signal(number, self.interrupt)

    def interrupt(self, *_) -> None:
        """Handle a signal: the run ends after the step it is at."""
        self.interrupted = True

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch, batch_idx) -> None:
        """Set the learning rate of the step."""
        fraction = self.agreed(trainer, self.fraction(trainer))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.lr * schedule(fraction, trainer.global_step, self.warmup, self.final)

    def fraction(self, trainer: Trainer) -> float:
        """Share of the budget that is used, by steps or by time, whichever is more."""
        by_time = self.elapsed_s / (60 * self.minutes) if self.minutes else 0.0
        return max(trainer.global_step / self.steps, by_time)

    def agreed(self, trainer: Trainer, value: Any) -> Any:
        """The first process's value, on all of them."""
        return value if trainer.world_size == 1 else trainer.strategy.broadcast(value)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch, batch_idx) -> None:
        """End the run, or keep a checkpoint, when it is time. Raises EgostreamError when it is stopped or diverges."""
        now = time.monotonic()
        self.elapsed_s, self.tick_s = self.elapsed_s + now - self.tick_s, now
        over, due, self.interrupted = self.agreed(
            trainer, (self.fraction(trainer) >= 1, now - self.saved_s >= self.checkpoint_s, self.interrupted)
        )
        step = trainer.global_step
        looked_at = over or due or self.interrupted or step % CHECK_STEPS == 0 or step % trainer.val_check_interval == 0
        if looked_at and not torch.isfinite(outputs["loss"]):  # before anything of it is kept or validated
            kept = f"{self.path} is of an earlier step" if self.path.is_file() else "nothing was kept"
            raise EgostreamError(
                f"the loss is {outputs['loss'].item()} at step {step}; {kept}. Lower --lr and run again"
            )
        trainer.should_stop = trainer.should_stop or over
        if over or due or self.interrupted:
            self.save(trainer)
        if self.interrupted:
            raise EgostreamError(
                f"stopped at step {step}, kept in {self.path}. The same command goes on (without --restart)"
            )

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep what a validation found."""
        self.validated_step = trainer.global_step
        if trainer.training or trainer.validating and trainer.state.fn == "fit":
            self.save(trainer, again=True)  # what is best so far must be known to a resumed run
        self.tick_s = time.monotonic()  # validation is not charged to the budget

    def save(self, trainer: Trainer, again: bool = False) -> None:
        """Write the checkpoint, unless there is one of this step. ``again``: even then.

        Raises EgostreamError when the disk is full; the checkpoint before stays.
        """
        if self.saved_step == trainer.global_step and not again:
            return
        try:
            if trainer.is_global_zero:
                with replacing(self.path, ".last.ckpt.partial") as draft:  # one name: a killed run leaves one at most
                    trainer.save_checkpoint(draft)
            else:
                trainer.save_checkpoint(self.path)  # takes part, and writes nothing
        except (OSError, RuntimeError) as error:
            kept = (
                f"the one of step {self.saved_step} is whole"
                if self.saved_step >= 0
                else "an earlier one, if any, is whole"
            )
            raise EgostreamError(
                f"cannot write checkpoint {self.path} ({error}); {kept}. Free some space and run the same command again"
            ) from None
        self.saved_s, self.saved_step = time.monotonic(), trainer.global_step


def progress_of(path: Path) -> tuple[int, float, int]:
    """A checkpoint's step, seconds of training, and the step that was last validated (-1: none)."""
    kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    state: dict = next((state for state in kept.get("callbacks", {}).values() if "elapsed_s" in state), {})
    return kept["global_step"], state.get("elapsed_s", 0.0), state.get("validated_step", -1)


def check_checkpoint(path: Path, module: LightningModule) -> None:
    """Raise EgostreamError unless ``path`` is a whole checkpoint of such a module."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except Exception as error:  # a damaged file raises almost anything
        reason = first_line(error)
        raise EgostreamError(f"{path} cannot be resumed: {reason}. Delete it, or add --restart") from None
    own = module.state_dict()
    odd = sorted(set(kept) ^ set(own)) or [key for key in own if own[key].shape != kept[key].shape]
    if odd:
        raise EgostreamError(f"{path} is of another network (see {odd[0]}). Add --restart, or give another --out")
