"""What every training run shares: its folder, budget, learning rate, checkpoints and Lightning trainer.

    last.ckpt      everything needed to go on, replaced whole every few minutes
    options.json   the command's options
    tensorboard/   curves and overlays

Beside these lie the best weights so far, by validation, and the newest overlay.png.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import json
import logging
import math
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from egostream.errors import EgostreamError
from tools.data.datasets import has_splits
from tools.training.augment import Augmenter
from tools.training.device_frames import ResidentFrames, ResidentLabels
from tools.training.frames import Draws, FrameDataset, FrameSet, make_loader


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` in one step. Raises EgostreamError when the disk is full; what was there stays."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise EgostreamError(f"cannot write {path}: {error.strerror or error}. Free some space and run the same command again") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def schedule(fraction: float, step: int, warmup: int, final: float) -> float:
    """Learning-rate factor: a cosine from 1 to ``final`` over the run, after a linear warm-up of some steps."""
    cosine = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    return cosine * min(1.0, (step + 1) / max(warmup, 1))


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
SIGNALS = (signal.SIGINT, signal.SIGTERM)
CHECK_STEPS = 10  # steps between looks at whether the loss is a number: looking waits for a GPU


class Bar(TQDMProgressBar):
    """Lightning's bar without its words for epochs: a run is one long epoch, limited by steps or by time."""

    def __init__(self, keeper: RunKeeper):
        super().__init__(refresh_rate=20 if sys.stderr.isatty() else 100)
        self.keeper = keeper

    def on_train_start(self, trainer, module) -> None:
        super().on_train_start(trainer, module)
        self.train_progress_bar.total = self.keeper.steps
        self.train_progress_bar.set_description("training")

    def on_train_epoch_start(self, trainer, *_) -> None:
        pass

    def get_metrics(self, trainer, module) -> dict:
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)
        return metrics | ({"time used": f"{self.keeper.fraction(trainer):.0%}"} if self.keeper.minutes else {})


class RunKeeper(Callback):
    """Learning rate, end and checkpoints of a run by its budget: steps, and minutes of training in all its parts.

    The nearer end of the two drives the cosine, so that a run limited by time ends with a low rate too.
    """

    def __init__(self, folder: Path, steps: int, minutes: float | None, checkpoint_minutes: float, warmup: int, final: float):
        self.path = folder / "last.ckpt"
        self.steps, self.minutes, self.checkpoint_s = steps, minutes, checkpoint_minutes * 60
        self.warmup, self.final = warmup, final
        self.elapsed_s = 0.0
        self.saved_step = -1
        self.validated_step = -1
        self.interrupted = False

    def state_dict(self) -> dict:
        return {"elapsed_s": self.elapsed_s, "validated_step": self.validated_step}

    def load_state_dict(self, state: dict) -> None:
        self.elapsed_s, self.validated_step = state["elapsed_s"], state.get("validated_step", -1)

    def on_train_start(self, trainer, module) -> None:
        self.tick_s = self.saved_s = time.monotonic()
        self.lr = module.configure_optimizers().defaults["lr"]  # of this command, whatever the checkpoint's was
        for number in SIGNALS:
            signal.signal(number, self.interrupt)

    def interrupt(self, *_) -> None:
        self.interrupted = True

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        fraction = self.agreed(trainer, self.fraction(trainer))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.lr * schedule(fraction, trainer.global_step, self.warmup, self.final)

    def fraction(self, trainer) -> float:
        by_time = self.elapsed_s / (60 * self.minutes) if self.minutes else 0.0
        return max(trainer.global_step / self.steps, by_time)

    def agreed(self, trainer, value):
        """The first process's value, on all of them."""
        return value if trainer.world_size == 1 else trainer.strategy.broadcast(value)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        now = time.monotonic()
        self.elapsed_s, self.tick_s = self.elapsed_s + now - self.tick_s, now
        over, due, self.interrupted = self.agreed(
            trainer, (self.fraction(trainer) >= 1, now - self.saved_s >= self.checkpoint_s, self.interrupted)
        )
        step = trainer.global_step
        looked_at = over or due or self.interrupted or step % CHECK_STEPS == 0 or step % trainer.val_check_interval == 0
        if looked_at and not torch.isfinite(outputs["loss"]):  # before anything of it is kept or validated
            kept = f"{self.path} is of an earlier step" if self.path.is_file() else "nothing was kept"
            raise EgostreamError(f"the loss is {outputs['loss'].item()} at step {step}; {kept}. Lower --lr and run again")
        trainer.should_stop = trainer.should_stop or over
        if over or due or self.interrupted:
            self.save(trainer)
        if self.interrupted:
            raise EgostreamError(f"stopped at step {step}, kept in {self.path}. The same command goes on (without --restart)")

    def on_validation_end(self, trainer, module) -> None:
        self.validated_step = trainer.global_step
        if trainer.training or trainer.validating and trainer.state.fn == "fit":
            self.save(trainer, again=True)  # what is best so far must be known to a resumed run
        self.tick_s = time.monotonic()  # validation is not charged to the budget

    def save(self, trainer, again: bool = False) -> None:
        """Write the checkpoint, unless there is one of this step. ``again``: even then."""
        if self.saved_step == trainer.global_step and not again:
            return
        partial = self.path.with_name(".last.ckpt.partial")
        try:
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                os.replace(partial, self.path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            kept = f"the one of step {self.saved_step} is whole" if self.saved_step >= 0 else "an earlier one, if any, is whole"
            raise EgostreamError(
                f"cannot write checkpoint {self.path} ({error}); {kept}. Free some space and run the same command again"
            ) from None
        self.saved_s, self.saved_step = time.monotonic(), trainer.global_step


def add_run_options(parser: argparse.ArgumentParser, epochs: int, batch: int, lr: float) -> None:
    """Options that every training command has."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--data", nargs="+", required=True, metavar="SPEC", help="folder of make_synthetic.py, egopw:LIST.txt or sceneego:LIST.txt"
    )
    group.add_argument("--val", nargs="+", metavar="SPEC", help="data whose val split is validated on (default: --data)")
    group.add_argument("--out", type=Path, required=True, help="run folder, such as runs/heatmap; a run found there is resumed")
    group.add_argument("--restart", action="store_true", help="start anew although the run folder holds a checkpoint")
    group.add_argument("--epochs", type=float, default=epochs, help=f"passes over the training frames ({epochs}, as in the paper)")
    group.add_argument("--steps", type=int, help="optimiser steps, instead of --epochs")
    group.add_argument("--max-minutes", type=float, help="stop after this many minutes of training; the learning rate falls in time for it")
    group.add_argument("--batch", type=int, default=batch, help=f"frames or windows per step and device ({batch})")
    group.add_argument("--lr", type=float, default=lr, help=f"highest learning rate ({lr:g})")
    group.add_argument("--warmup", type=int, default=100, help="steps of linear warm-up (100)")
    group.add_argument("--weight-decay", type=float, default=1e-4)
    group.add_argument("--clip", type=float, default=1.0, help="gradient norm limit (1)")
    group.add_argument("--ema", type=float, default=0.999, help="decay of the moving average of weights that is kept (0.999); 0: off")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--val-every", type=int, default=1000, help="steps between validations (1000)")
    group.add_argument("--val-frames", type=int, default=512, help="frames validated on, evenly spaced (512)")
    group.add_argument("--checkpoint-minutes", type=float, default=3.0, help="minutes between checkpoints (3)")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--workers", type=int, default=min(4, max(1, (os.cpu_count() or 2) // 2)), help="data loading processes")
    machine.add_argument(
        "--resident", action="store_true",
        help="keep single frames decoded on the GPU (0.2 MB each) and augment them there, where the cores cannot keep up with it",
    )  # fmt: skip
    machine.add_argument("--threads", type=int, help="CPU threads of PyTorch")
    machine.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    machine.add_argument("--precision", help="16-mixed, bf16-mixed or 32-true (mixed, as the device can)")
    augment = parser.add_argument_group("augmentation")
    augment.add_argument("--rotate", type=float, default=20.0, help="largest rotation about the optical axis, degrees (20)")
    augment.add_argument("--mirror", type=float, default=0.5, help="probability of mirroring, left and right joints swapped (0.5)")
    augment.add_argument("--looks", type=float, default=1.0, help="how likely colours, blur, noise, occluders change, 0 to 1 (1)")


def check_options(options) -> None:
    """Refuse values that could only fail later."""
    for name, lowest in (("batch", 1), ("workers", 0), ("val_every", 1), ("val_frames", 1), ("seed", 0)):
        if getattr(options, name) < lowest:
            raise EgostreamError(f"--{name.replace('_', '-')} {getattr(options, name)}: at least {lowest}")
    if "sample" in options.data:
        raise EgostreamError("--data sample is for testing: make some to train on with tools/make_synthetic.py")
    if options.val is None and not all(has_splits(spec) for spec in options.data):
        raise EgostreamError("a list file is one split: name the list to validate on with --val")
    if options.steps is not None and options.steps < 1:
        raise EgostreamError(f"--steps {options.steps}: at least 1")
    positive = ("lr", "epochs", "max_minutes", "checkpoint_minutes", "backbone_minutes", "backbone_steps", "backbone_lr", "step_ms")
    for name in (*positive, "frames_per_window"):
        value = getattr(options, name, None)
        if value is not None and not value > 0:
            raise EgostreamError(f"--{name.replace('_', '-')} {value}: a positive number")
    for name in ("mirror", "looks"):
        if not 0 <= getattr(options, name) <= 1:
            raise EgostreamError(f"--{name} {getattr(options, name)}: 0 to 1")
    if not 0 <= options.ema < 1:
        raise EgostreamError(f"--ema {options.ema}: 0 (off) up to, not including, 1")


def keep_pages() -> None:
    """Tell glibc to keep what is freed: giving every large tensor's pages back costs a third of some steps on a CPU."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def prepare(options) -> None:
    """Seeds, threads, and silence for Lightning's advice about things that we do on purpose."""
    keep_pages()
    lightning.seed_everything(options.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="lightning.*")
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)


def count_steps(options, rows: int) -> int:
    """Steps of the whole run, however many processes share it."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    return options.steps or max(1, math.ceil(options.epochs * rows / (options.batch * world)))


def default_precision(accelerator: str) -> str:
    if accelerator != "cpu" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        return "16-mixed"
    return "bf16-mixed"


def fit(module, options, steps: int, minutes: float | None, folder: Path, final_lr: float = 0.0) -> None:
    """Train ``module`` in ``folder`` to its end, resuming what is found there.

    Raises EgostreamError when it is stopped (after keeping what was done), for a checkpoint that cannot be read, a loss
    that is no number, or a disk that is full.
    """
    keeper = RunKeeper(folder, steps, minutes, options.checkpoint_minutes, options.warmup, final_lr)
    resume = keeper.path if keeper.path.is_file() and not options.restart else None
    if resume:
        check_checkpoint(resume, module)
    local, world = (int(os.environ.get(key, 1)) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))  # torchrun's
    try:
        trainer = lightning.Trainer(
            accelerator=options.accelerator, devices=local, num_nodes=world // local,
            precision=options.precision or default_precision(options.accelerator),
            max_steps=steps, max_epochs=-1, gradient_clip_val=options.clip or None,
            val_check_interval=min(options.val_every, steps), check_val_every_n_epoch=None, num_sanity_val_steps=0,
            logger=TensorBoardLogger(folder, name=None, version="tensorboard"), log_every_n_steps=20,
            callbacks=[keeper, Bar(keeper)], enable_checkpointing=False, enable_model_summary=False,
            use_distributed_sampler=False, benchmark=True,
        )  # fmt: skip
    except (ValueError, MisconfigurationException) as error:
        raise EgostreamError(
            f"{str(error).splitlines()[0]} (--accelerator {options.accelerator}, --precision {options.precision})"
        ) from None
    if trainer.is_global_zero:
        write_whole(folder / "options.json", (json.dumps(vars(options), default=str, indent=2) + "\n").encode())
    if resume:
        print(f"resuming {resume}", file=sys.stderr)
        step, elapsed_s, validated_step = progress_of(resume)
        if step >= steps or (minutes is not None and elapsed_s >= 60 * minutes):
            print(f"{resume} is at the end of its budget already", file=sys.stderr)
            if validated_step != step:  # killed before its last validation
                module.resumed_step = step
                trainer.validate(module, ckpt_path=resume, weights_only=True, verbose=False)
            return
    handlers = [(number, signal.getsignal(number)) for number in SIGNALS]
    try:
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    except EgostreamError as error:
        raise EgostreamError(str(error).strip().splitlines()[-1].removeprefix("egostream.errors.EgostreamError: ")) from None  # a worker's
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
    keeper.save(trainer)
    if keeper.validated_step != trainer.global_step:
        trainer.validate(module, verbose=False)
        keeper.save(trainer, again=True)
    trainer.strategy.barrier()


def progress_of(path: Path) -> tuple[int, float, int]:
    """A checkpoint's step, seconds of training, and the step that was last validated (-1: none)."""
    kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    state = next((state for state in kept.get("callbacks", {}).values() if "elapsed_s" in state), {})
    return kept["global_step"], state.get("elapsed_s", 0.0), state.get("validated_step", -1)


def check_checkpoint(path: Path, module) -> None:
    """Raise EgostreamError unless ``path`` is a whole checkpoint of such a module."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except Exception as error:  # a damaged file raises almost anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EgostreamError(f"{path} cannot be resumed: {reason}. Delete it, or add --restart") from None
    own = module.state_dict()
    odd = sorted(set(kept) ^ set(own)) or [key for key in own if own[key].shape != kept[key].shape]
    if odd:
        raise EgostreamError(f"{path} is of another network (see {odd[0]}). Add --restart, or give another --out")


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
        return Draws(rows, batch, self.steps, self.options.seed, self.trainer.global_step, self.global_rank, self.trainer.world_size)

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
        return batch["frame"] if "frame" in batch else self.resident.take(batch, self.trainer.global_step, self.global_rank)

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
        torch._foreach_lerp_([kept[k] for k in floating], [new[k] for k in floating], 1 - min(self.decay, (1 + step) / (10 + step)))

    def best(self, module: torch.nn.Module) -> torch.nn.Module:
        return module if self.kept is None else self.kept
