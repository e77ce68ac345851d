"""What every training run shares: its folder, budget, learning rate, checkpoints and Lightning trainer.

    last.ckpt      everything needed to go on, replaced whole every few minutes
    options.json   the command's options
    tensorboard/   curves and overlays

Beside these lie the best weights so far, by validation, and the newest overlay.png.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import math
import os
import signal
import sys
import warnings
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger

from egostream.errors import EgostreamError
from egostream.files import write_whole
from tools.training.keeper import SIGNALS, Bar, RunKeeper, check_checkpoint, progress_of

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


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
        raise EgostreamError(
            str(error).strip().splitlines()[-1].removeprefix("egostream.errors.EgostreamError: ")
        ) from None  # a worker's
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
    keeper.save(trainer)
    if keeper.validated_step != trainer.global_step:
        trainer.validate(module, verbose=False)
        keeper.save(trainer, again=True)
    trainer.strategy.barrier()
