"""What every training run shares: its folder, budget, learning rate, checkpoints and Lightning trainer.

    last.ckpt      everything needed to go on, replaced whole every few minutes
    options.json   the command's options, for whoever reads it later: a run that goes on takes those of its command
    tensorboard/   curves and overlays

Beside these lie the best weights so far, by validation, and the newest overlay.png.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger

from egostream.errors import EgostreamError, first_line
from egostream.files import write_whole
from tools.pages import keep_pages
from tools.training.keeper import SIGNALS, Bar, RunKeeper, check_checkpoint, progress_of
from tools.training.options import RunOptions
from tools.training.stage import AveragedTraining

LOG_STEPS = 20  # between points of a curve


def prepare(options: RunOptions) -> None:
    """Set seeds and threads, and silence Lightning's advice about things that we do on purpose."""
    keep_pages()
    lightning.seed_everything(options.seed, verbose=False)
    torch.set_float32_matmul_precision("high")
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="lightning.*")
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)


def count_steps(options: RunOptions, rows: int) -> int:
    """Steps of the whole run over ``rows`` frames or windows, however many processes share it."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    return options.steps or max(1, math.ceil(options.epochs * rows / (options.batch * world)))


def default_precision(accelerator: str) -> str:
    """Lightning's name of the mixed precision that the device can compute in."""
    if accelerator != "cpu" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        return "16-mixed"
    return "bf16-mixed"


def fit(
    module: AveragedTraining,
    options: RunOptions,
    steps: int,
    minutes: float | None,
    folder: Path,
    final_lr: float = 0.0,
) -> None:
    """Train ``module`` in ``folder`` to its end, resuming what is found there.

    The learning rate falls to ``final_lr`` of its highest. Raises EgostreamError when the run is stopped (after keeping
    what was done), for a checkpoint that cannot be read, a loss that is no number, or a disk that is full.
    """
    keeper = RunKeeper(folder, steps, minutes, options.checkpoint_minutes, options.warmup, final_lr)
    resume = keeper.path if keeper.path.is_file() and not options.restart else None
    if resume:
        check_checkpoint(resume, module)
    trainer = make_trainer(options, keeper, folder)
    if trainer.is_global_zero:
        text = json.dumps(asdict(options), default=str, indent=2) + "\n"
        write_whole(folder / "options.json", text.encode())
    if resume:
        print(f"resuming {resume}", file=sys.stderr)
        if is_finished(resume, steps, minutes):
            print(f"{resume} is at the end of its budget already", file=sys.stderr)
            validate_finished(trainer, module, resume)
            return
    train_stoppably(trainer, module, resume)
    keeper.save(trainer)
    if keeper.validated_step != trainer.global_step:
        trainer.validate(module, verbose=False)
        keeper.save(trainer, again=True)
    trainer.strategy.barrier()


def make_trainer(options: RunOptions, keeper: RunKeeper, folder: Path) -> lightning.Trainer:
    """Lightning's trainer of one run. Raises EgostreamError for a device or a precision that is not there."""
    local, world = (int(os.environ.get(key, 1)) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))  # torchrun's
    precision: Any = options.precision or default_precision(options.accelerator)
    try:
        return lightning.Trainer(
            accelerator=options.accelerator,
            devices=local,
            num_nodes=world // local,
            precision=precision,
            max_steps=keeper.steps,
            max_epochs=-1,
            gradient_clip_val=options.clip or None,
            val_check_interval=min(options.val_every, keeper.steps),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=TensorBoardLogger(folder, name=None, version="tensorboard"),
            log_every_n_steps=LOG_STEPS,
            callbacks=[keeper, Bar(keeper)],
            enable_checkpointing=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            benchmark=True,
        )
    except (ValueError, MisconfigurationException) as error:
        raise EgostreamError(
            f"{first_line(error)} (--accelerator {options.accelerator}, --precision {options.precision})"
        ) from None


def is_finished(checkpoint: Path, steps: int, minutes: float | None) -> bool:
    """Whether a checkpoint is at the end of a budget of steps, and of minutes (None: no limit)."""
    step, elapsed_s, _ = progress_of(checkpoint)
    return step >= steps or (minutes is not None and elapsed_s >= 60 * minutes)


def validate_finished(trainer: lightning.Trainer, module: AveragedTraining, checkpoint: Path) -> None:
    """Validate a finished run that was killed before its last validation."""
    step, _, validated_step = progress_of(checkpoint)
    if validated_step != step:
        module.resumed_step = step
        trainer.validate(module, ckpt_path=checkpoint, weights_only=True, verbose=False)


def train_stoppably(trainer: lightning.Trainer, module: AveragedTraining, resume: Path | None) -> None:
    """Train while the keeper heeds the signals that stop a run; what handled them before does so again afterwards."""
    handlers = [(number, signal.getsignal(number)) for number in SIGNALS]
    try:
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    except EgostreamError as error:  # a worker's comes with its traceback
        last_line = str(error).strip().splitlines()[-1]
        raise EgostreamError(last_line.removeprefix("egostream.errors.EgostreamError: ")) from None
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
