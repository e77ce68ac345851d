"""What tools/train_motion.py is told."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError
from tools.training.motion.begin import motion_to_begin_with, shape_of
from tools.training.motion.supply import Supply, add_supply_options, supply_of
from tools.training.options import UNLIMITED_STEPS, RunOptions, check_lowest, check_positive

SHAPE = {"window": 32, "channels": 128, "depth": 4}  # of a network that begins at random
NOISE_FILE = Path(__file__).parent / "noise.json"  # as tools/fit_noise.py fitted it to the shipped heatmaps


@dataclass(frozen=True, kw_only=True)
class MotionOptions(RunOptions):
    """What the training of motion reads, beside what every run has. ``data`` is what it is validated on."""

    supply: Supply
    noise: Path  # NoiseModel
    recordings: list[str]  # rendered ones to learn from, too; their people's keypoints err as the heatmaps do
    recorded_share: float  # of sequences that are of ``recordings``
    init: Path | None  # motion.safetensors to begin from; None: at random
    rig: str  # where the camera is worn, as the renderer takes it
    weights: str  # folder whose heatmaps the network will follow; empty: the shipped one
    frames: int  # of a sequence
    window: int  # T
    channels: int  # d
    depth: int  # blocks
    told: float  # share of sequences with some of what a headset tells; 0: none has
    split: str  # of ``data``
    description: str  # what weights.json says of itself


def parse_options(arguments: list[str] | None, description: str | None) -> MotionOptions:
    """The command's options. Raises EgostreamError for values that could only fail later."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run(parser.add_argument_group("run"))
    add_supply_options(parser, movements=1500, people=400)
    add_network(parser.add_argument_group("network and sequences"))
    given = parser.parse_args(arguments)
    values = vars(given) | {"supply": supply_of(given, given.seed)}
    for name in ("motion", "held_out", "captured", "body", "movements", "people"):
        del values[name]
    values |= shape(given)
    options = MotionOptions(**values, **unused(given))
    check(options)
    return options


def add_run(group: argparse._ArgumentGroup) -> None:
    """Length, learning rate, machine and validation."""
    group.add_argument("--out", type=Path, required=True, help="run folder; a run found there is resumed")
    group.add_argument("--restart", action="store_true", help="start anew although the folder holds a checkpoint")
    group.add_argument("--steps", type=int, default=UNLIMITED_STEPS, help="optimiser steps (as --max-minutes says)")
    group.add_argument("--max-minutes", type=float, default=60.0, help="minutes of training, in all its parts (60)")
    group.add_argument("--batch", type=int, default=128, help="sequences a step (128)")
    group.add_argument("--lr", type=float, default=1.5e-3, help="highest learning rate (1.5e-3)")
    group.add_argument("--ema", type=float, default=0.998, help="decay of the average of weights (0.998); 0: off")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--threads", type=int, help="CPU threads of PyTorch")
    group.add_argument("--accelerator", default="auto", help="auto, cpu, gpu")
    group.add_argument("--precision", help="bf16-mixed or 32-true (mixed, as the device can)")
    group.add_argument("--val-every", type=int, default=1000, help="steps between validations (1000)")
    group.add_argument("--checkpoint-minutes", type=float, default=2.0, help="minutes between checkpoints (2)")
    group.add_argument(
        "--data", nargs="+", default=[], metavar="SPEC", help="rendered recordings to validate on (simulated ones)"
    )
    group.add_argument("--split", choices=("train", "val", "test"), default="val", help="of --data (val)")


def add_network(group: argparse._ArgumentGroup) -> None:
    """Shape of the network and of what it learns from."""
    group.add_argument("--noise", type=Path, default=NOISE_FILE, help="how keypoints err: a file of tools/fit_noise.py")
    group.add_argument(
        "--recordings", nargs="+", default=[], metavar="SPEC",
        help="rendered recordings to learn from, too (split train), of people whom the heatmaps never saw",
    )  # fmt: skip
    group.add_argument("--recorded-share", type=float, default=0.5, help="of sequences, given --recordings (0.5)")
    group.add_argument(
        "--init", type=Path, metavar="WEIGHTS",
        help="what to begin from: a weights folder, or a run's motion.safetensors (at random)",
    )  # fmt: skip
    group.add_argument("--rig", choices=("boom", "brim", "glasses", "mix"), default="mix", help="mount (mix)")
    group.add_argument("--weights", default="", help="weights folder whose heatmaps it will follow (the shipped one)")
    group.add_argument("--description", default="motion from the body", help="what weights.json says of itself")
    group.add_argument("--frames", type=int, default=48, help="of a sequence, 1/15 s apart (48)")
    group.add_argument("--window", type=int, help="T, frames that a pose may depend on (32, or --init's)")
    group.add_argument("--channels", type=int, help="d (128, or --init's)")
    group.add_argument("--depth", type=int, help="transformer blocks (4, or --init's)")
    group.add_argument("--told", type=float, default=0.6, help="share of sequences with what a headset tells (0.6)")


def shape(given: argparse.Namespace) -> dict[str, int]:
    """The network's shape: that of --init, else as asked. Raises EgostreamError where both are given and differ."""
    found = shape_of(motion_to_begin_with(given.init)) if given.init else SHAPE
    for name, value in found.items():
        asked = getattr(given, name)
        if given.init and asked not in (None, value):
            raise EgostreamError(f"--{name} {asked}: --init {given.init} has {value}. Leave --{name} out")
    return {name: value if getattr(given, name) is None else getattr(given, name) for name, value in found.items()}


def unused(given: argparse.Namespace) -> dict:
    """What other stages have options for, as it is here."""
    fixed = {"warmup": 100, "weight_decay": 1e-3, "clip": 1.0, "val_frames": 1, "workers": 1, "resident": False}
    return fixed | {"val": None, "epochs": 1.0, "rotate": 0.0, "mirror": 0.5, "looks": 0.0}


def check(options: MotionOptions) -> None:
    """Refuse values that could only fail later. Raises EgostreamError."""
    check_lowest(options, batch=1, steps=1, frames=2, window=2, channels=4, depth=1, val_every=1, seed=0)
    check_positive(options, "lr", "max_minutes", "checkpoint_minutes")
    if options.channels % 4:
        raise EgostreamError(f"--channels {options.channels}: a multiple of 4, the number of heads")
    for name in ("told", "recorded_share"):
        if not 0 <= getattr(options, name) <= 1:
            raise EgostreamError(f"--{name.replace('_', '-')} {getattr(options, name)}: 0 to 1")
    if not 0 <= options.ema < 1:
        raise EgostreamError(f"--ema {options.ema}: 0 (off) up to, not including, 1")
