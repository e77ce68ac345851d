"""What the training commands are told: one frozen dataclass per stage, filled by argparse at a command's edge.

A stage takes the class that names what it reads. Whole, as the command filled it, it is saved as options.json.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError
from tools.data.datasets import has_splits

UNLIMITED_STEPS = 10**7  # of a stage that minutes end: more than any takes


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every training run has. Of these all defaults are argparse's: see ``add_run_options``."""

    data: list[str]  # folders of make_synthetic.py or lists, see --help
    val: list[str] | None  # data whose val split is validated on; None: ``data``
    out: Path  # run folder
    restart: bool  # start anew although ``out`` holds a checkpoint
    epochs: float  # passes over the training frames or windows
    steps: int | None  # optimiser steps; None: as ``epochs`` says
    max_minutes: float | None  # minutes of training; None: no limit
    batch: int  # frames or windows per step and device
    lr: float  # highest learning rate
    warmup: int  # steps of linear warm-up; 0: off
    weight_decay: float  # 0: off
    clip: float  # gradient norm limit; 0: off
    ema: float  # decay of the moving average of weights, 0 to below 1; 0: off
    seed: int  # of the order of frames and of all that is drawn
    val_every: int  # steps between validations
    val_frames: int  # frames or windows validated on, evenly spaced
    checkpoint_minutes: float  # minutes between checkpoints
    workers: int  # data loading processes; 0: the main process loads
    resident: bool  # keep single frames decoded on the GPU, 0.2 MB each
    threads: int | None  # CPU threads of PyTorch; None: its own choice
    accelerator: str  # "auto", "cpu" or "gpu"
    precision: str | None  # Lightning's name, such as "bf16-mixed"; None: mixed, as the device can
    rotate: float  # largest rotation about the optical axis, degrees; 0: off
    mirror: float  # probability of mirroring, 0 to 1; 0: off
    looks: float  # scales how likely each change of looks is, 0 to 1; 0: off


@dataclass(frozen=True, kw_only=True)
class HeatmapOptions(RunOptions):
    """What the training of the heatmap network reads."""

    size: int  # side of the input, pixels; heatmaps are a quarter of it
    loss: str  # a key of losses.HEATMAP_LOSSES
    init: Path | None  # run folder, heatmap.safetensors or weights folder to start from; None: ``encoder``
    encoder: str  # "imagenet", "scratch" or a state dict's path


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(RunOptions):
    """What the training of the joint embedding on drawn heatmaps reads. The stage is off where both fields are."""

    embedding_steps: int | None  # optimiser steps; 0 or None: off, or as the minutes say
    embedding_minutes: float | None  # minutes of training; None: no limit


@dataclass(frozen=True, kw_only=True)
class BackboneOptions(RunOptions):
    """What the training of the backbone on single frames reads. The stage is off where steps and minutes are."""

    backbone: str | None  # "imagenet", "scratch", a folder or a state dict's path; None: what ``init`` has
    backbone_steps: int | None  # optimiser steps; None: off, or as the minutes say
    backbone_minutes: float | None  # minutes of training; None: no limit
    backbone_size: int  # side of the input, pixels
    backbone_batch: int  # frames per step and device
    backbone_lr: float  # highest learning rate

    @property
    def trains_backbone(self) -> bool:
        """Whether the backbone has a stage of its own."""
        return bool(self.backbone_steps or self.backbone_minutes)


@dataclass(frozen=True, kw_only=True)
class WindowOptions(RunOptions):
    """What the windows are cut by, and where their features come from."""

    temporal: str  # "window" or "causal": the temporal form
    window: int  # T, frames
    stride: int  # slots between windows
    step_ms: float | None  # time between a window's frames, ms; None: one frame of the data
    frames_per_window: int | None  # frames estimated per window, the newest always; None: all
    fixed_windows: bool  # the same windows every epoch, instead of shifted at random by up to a stride
    cache: Path | None  # folder of the frozen graphs' outputs; None: computed anew in every step
    cache_passes: int  # times each training frame is cached, all but the first augmented


@dataclass(frozen=True, kw_only=True)
class PoseOptions(WindowOptions, BackboneOptions, EmbeddingOptions):
    """What tools/train_pose.py is told: all its stages, and the network that comes out of them."""

    heatmap: Path | None  # run folder, heatmap.safetensors or weights folder; None: the heatmaps of ``init``
    init: Path | None  # weights folder to start from; None: a new network
    stage: str  # "all", or the stage to stop after: "backbone" or "features"
    no_tokens: bool  # the paper's motion only
    no_motion: bool  # the paper's spatial only
    no_cross_attention: bool  # the paper's ablation
    no_joint_identity: bool  # the paper's decoder, which cannot tell whose heatmap a token came from
    dropout: float  # probability, in the decoder; 0: off
    freeze_embedding: bool  # leave the joint embedding as its own stage, or ``init``, made it
    train_backbone: (
        str | None
    )  # "layer4", "all" or "none": trained with the pose; None: "all" from scratch, else "layer4"
    description: str  # what weights.json says of itself


def add_run_options(parser: argparse.ArgumentParser, epochs: int, batch: int, lr: float) -> None:
    """Add the options that every training command has; epochs, batch and lr are its defaults."""
    add_budget_options(parser.add_argument_group("run"), epochs, batch, lr)
    add_machine_options(parser.add_argument_group("machine"))
    add_augmentation_options(parser.add_argument_group("augmentation"))


def add_budget_options(group: argparse._ArgumentGroup, epochs: int, batch: int, lr: float) -> None:
    """Data, run folder, length, learning rate and validation."""
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


def add_machine_options(group: argparse._ArgumentGroup) -> None:
    """What of the machine a run uses."""
    group.add_argument(
        "--workers", type=int, default=min(4, max(1, (os.cpu_count() or 2) // 2)), help="data loading processes"
    )
    group.add_argument(
        "--resident",
        action="store_true",
        help="keep single frames decoded on the GPU (0.2 MB each) and augment them there, "
        "where the cores cannot keep up with it",
    )
    group.add_argument("--threads", type=int, help="CPU threads of PyTorch")
    group.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    group.add_argument("--precision", help="16-mixed, bf16-mixed or 32-true (mixed, as the device can)")


def add_augmentation_options(group: argparse._ArgumentGroup) -> None:
    """How far training frames are changed."""
    group.add_argument(
        "--rotate", type=float, default=20.0, help="largest rotation about the optical axis, degrees (20)"
    )
    group.add_argument(
        "--mirror", type=float, default=0.5, help="probability of mirroring, left and right joints swapped (0.5)"
    )
    group.add_argument(
        "--looks", type=float, default=1.0, help="how likely colours, blur, noise, occluders change, 0 to 1 (1)"
    )


def check_options(options: RunOptions) -> None:
    """Refuse values that could only fail later. Raises EgostreamError."""
    check_lowest(options, batch=1, workers=0, val_every=1, val_frames=1, seed=0)
    if "sample" in options.data:
        raise EgostreamError("--data sample is for testing: make some to train on with tools/make_synthetic.py")
    if options.val is None and not all(has_splits(spec) for spec in options.data):
        raise EgostreamError("a list file is one split: name the list to validate on with --val")
    if options.steps is not None and options.steps < 1:
        raise EgostreamError(f"--steps {options.steps}: at least 1")
    check_positive(options, "lr", "epochs", "max_minutes", "checkpoint_minutes")
    for name in ("mirror", "looks"):
        if not 0 <= getattr(options, name) <= 1:
            raise EgostreamError(f"--{name} {getattr(options, name)}: 0 to 1")
    if not 0 <= options.ema < 1:
        raise EgostreamError(f"--ema {options.ema}: 0 (off) up to, not including, 1")


def check_lowest(options: RunOptions, **lowest: int) -> None:
    """Raise EgostreamError for an option below its lowest value."""
    for name, value in lowest.items():
        if getattr(options, name) < value:
            raise EgostreamError(f"{flag(name)} {getattr(options, name)}: at least {value}")


def check_positive(options: RunOptions, *names: str) -> None:
    """Raise EgostreamError for a named option that is given and not above 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise EgostreamError(f"{flag(name)} {value}: a positive number")


def flag(name: str) -> str:
    """The command-line flag of an option."""
    return f"--{name.replace('_', '-')}"
