"""Options that every training command has."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from egostream.errors import EgostreamError
from tools.data.datasets import has_splits


def add_run_options(parser: argparse.ArgumentParser, epochs: int, batch: int, lr: float) -> None:
    """Options that every training command has."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="SPEC",
        help="folder of make_synthetic.py, egopw:LIST.txt or sceneego:LIST.txt",
    )
    group.add_argument(
        "--val", nargs="+", metavar="SPEC", help="data whose val split is validated on (default: --data)"
    )
    group.add_argument(
        "--out", type=Path, required=True, help="run folder, such as runs/heatmap; a run found there is resumed"
    )
    group.add_argument("--restart", action="store_true", help="start anew although the run folder holds a checkpoint")
    group.add_argument(
        "--epochs", type=float, default=epochs, help=f"passes over the training frames ({epochs}, as in the paper)"
    )
    group.add_argument("--steps", type=int, help="optimiser steps, instead of --epochs")
    group.add_argument(
        "--max-minutes",
        type=float,
        help="stop after this many minutes of training; the learning rate falls in time for it",
    )
    group.add_argument("--batch", type=int, default=batch, help=f"frames or windows per step and device ({batch})")
    group.add_argument("--lr", type=float, default=lr, help=f"highest learning rate ({lr:g})")
    group.add_argument("--warmup", type=int, default=100, help="steps of linear warm-up (100)")
    group.add_argument("--weight-decay", type=float, default=1e-4)
    group.add_argument("--clip", type=float, default=1.0, help="gradient norm limit (1)")
    group.add_argument(
        "--ema", type=float, default=0.999, help="decay of the moving average of weights that is kept (0.999); 0: off"
    )
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--val-every", type=int, default=1000, help="steps between validations (1000)")
    group.add_argument("--val-frames", type=int, default=512, help="frames validated on, evenly spaced (512)")
    group.add_argument("--checkpoint-minutes", type=float, default=3.0, help="minutes between checkpoints (3)")
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--workers", type=int, default=min(4, max(1, (os.cpu_count() or 2) // 2)), help="data loading processes"
    )
    machine.add_argument(
        "--resident", action="store_true",
        help="keep single frames decoded on the GPU (0.2 MB each) and augment them there, where the cores cannot keep up with it",
    )  # fmt: skip
    machine.add_argument("--threads", type=int, help="CPU threads of PyTorch")
    machine.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    machine.add_argument("--precision", help="16-mixed, bf16-mixed or 32-true (mixed, as the device can)")
    augment = parser.add_argument_group("augmentation")
    augment.add_argument(
        "--rotate", type=float, default=20.0, help="largest rotation about the optical axis, degrees (20)"
    )
    augment.add_argument(
        "--mirror", type=float, default=0.5, help="probability of mirroring, left and right joints swapped (0.5)"
    )
    augment.add_argument(
        "--looks", type=float, default=1.0, help="how likely colours, blur, noise, occluders change, 0 to 1 (1)"
    )


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
    positive = (
        "lr",
        "epochs",
        "max_minutes",
        "checkpoint_minutes",
        "backbone_minutes",
        "backbone_steps",
        "backbone_lr",
        "step_ms",
    )
    for name in (*positive, "frames_per_window"):
        value = getattr(options, name, None)
        if value is not None and not value > 0:
            raise EgostreamError(f"--{name.replace('_', '-')} {value}: a positive number")
    for name in ("mirror", "looks"):
        if not 0 <= getattr(options, name) <= 1:
            raise EgostreamError(f"--{name} {getattr(options, name)}: 0 to 1")
    if not 0 <= options.ema < 1:
        raise EgostreamError(f"--ema {options.ema}: 0 (off) up to, not including, 1")
