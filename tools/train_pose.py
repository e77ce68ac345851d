#!/usr/bin/env python3
"""Train everything after the heatmaps, and write a weights folder.

The paper's way (GPUs): the ResNet-50 from ImageNet, its layer4 and all that follows trained on windows of frames.

    python tools/train_pose.py --data data/synthetic --heatmap runs/heatmap --out runs/pose
    torchrun --nproc-per-node 4 tools/train_pose.py --data egopw:train_egopw.txt --val egopw:held_out_egopw.txt ...

The weights kept are those that do best on --val: for figures on the published test list, hold some training recordings
out.

The joint embedding is first taught to tell where a peak lies, on drawn heatmaps: the pose loss alone hardly gets there.

On two CPU cores: what sees single frames first, without the motion branch; the backbone; then every frame's features
once, and the rest on those.

    python tools/train_pose.py --data data/synthetic --heatmap runs/heatmap --out runs/spatial --no-motion --window 2 \\
        --stride 1 --frames-per-window 1 --batch 192 --freeze-embedding --dropout 0 --cache cache --max-minutes 60
    python tools/train_pose.py --data data/synthetic --out runs/backbone-128 --stage backbone --backbone scratch \\
        --backbone-size 128 --backbone-minutes 60
    python tools/train_pose.py --data data/synthetic --out runs/backbone --stage backbone \\
        --backbone runs/backbone-128 --backbone-size 256 --backbone-minutes 60
    python tools/train_pose.py --data data/synthetic --init runs/spatial/weights --out runs/pose \\
        --backbone runs/backbone --cache cache --frames-per-window 16 --freeze-embedding --dropout 0 --max-minutes 60

Fine-tuning, such as the paper's EgoPW to SceneEgo: --init runs/egopw/weights. Killed or stopped by Ctrl-C, the same
command goes on from its last checkpoint. Afterwards: python tools/build_engine.py --help; egostream run --weights
OUT/weights
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import lightning  # noqa: F401
    import torch  # noqa: F401
except ImportError:
    sys.exit("train_pose: PyTorch and Lightning are needed. Install them: pip install -e '.[train]'")

from egostream.calibration.view import INPUT_SIZE
from egostream.errors import EgostreamError
from egostream.graph.weights import load_weights
from tools.entry import run_tool
from tools.network import NetworkSpec, build_network
from tools.network.network import EgoPoseNetwork
from tools.network.spec import require_backbone
from tools.training.backbone import is_imagenet, load_backbone
from tools.training.frames import FrameSet, load_frame_set
from tools.training.heatmap import load_heatmap
from tools.training.options import PoseOptions, add_run_options, check_lowest, check_options, check_positive, flag
from tools.training.pose_stages import load_whole, train_backbone, train_embedding, train_heads
from tools.training.run import prepare

EMBEDDING_STEPS = 1500  # of 256 drawn heatmaps: peaks are then told to about 0.6 px of 64


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Which network, on which windows, and how its embedding begins."""
    network = parser.add_argument_group("network")
    network.add_argument("--temporal", choices=("window", "causal"), help="(window; with --init its own)")
    network.add_argument("--window", type=int, help="T, frames (64; with --init its own)")
    network.add_argument("--no-tokens", action="store_true", help="the paper's motion only")
    network.add_argument("--no-motion", action="store_true", help="the paper's spatial only")
    network.add_argument("--no-cross-attention", action="store_true")
    network.add_argument(
        "--no-joint-identity",
        action="store_true",
        help="the paper's decoder, which cannot tell whose heatmap a token came from",
    )
    network.add_argument(
        "--dropout", type=float, default=0.1, help="in the decoder (0.1); 0 where data is plenty and training short"
    )
    embedding = parser.add_argument_group("joint embedding")
    embedding.add_argument(
        "--embedding-steps",
        type=int,
        help="teach it first, this many steps, to tell where a drawn peak lies (1500; with --init 0)",
    )
    embedding.add_argument("--embedding-minutes", type=float, help="the same, by time")
    embedding.add_argument(
        "--freeze-embedding", action="store_true", help="leave it as it is then, or as --init has it: steps get cheaper"
    )
    windows = parser.add_argument_group("windows")
    windows.add_argument("--stride", type=int, default=32, help="slots between windows (32)")
    windows.add_argument(
        "--step-ms", type=float, help="time between a window's frames (one frame of the data; with --init its own)"
    )
    windows.add_argument(
        "--frames-per-window", type=int, help="frames estimated per window, the newest always (all); 16 is cheap"
    )
    windows.add_argument(
        "--fixed-windows",
        action="store_true",
        help="the same windows every epoch, instead of shifted at random by up to a stride",
    )


def add_backbone_options(parser: argparse.ArgumentParser) -> None:
    """Where the backbone comes from, how it is trained, and whether what it gives is kept."""
    backbone = parser.add_argument_group("backbone")
    backbone.add_argument(
        "--backbone",
        help="imagenet, scratch, a run or weights folder, or a state dict's path (imagenet; with --init its own)",
    )
    backbone.add_argument(
        "--train-backbone",
        choices=("layer4", "all", "none"),
        help="what is trained with the pose (layer4; all if scratch)",
    )
    backbone.add_argument("--backbone-steps", type=int, help="train it on single frames first, this many steps")
    backbone.add_argument("--backbone-minutes", type=float, help="the same, by time")
    backbone.add_argument(
        "--backbone-size", type=int, choices=(128, 192, 256), default=256, help="input side there (256)"
    )
    backbone.add_argument("--backbone-batch", type=int, default=32)
    backbone.add_argument("--backbone-lr", type=float, default=1e-3)
    cache = parser.add_argument_group("cached features")
    cache.add_argument("--cache", type=Path, help="keep the frozen graphs' outputs in this folder and train on them")
    cache.add_argument(
        "--cache-passes",
        type=int,
        default=1,
        help="times each training frame is cached, all but the first augmented (1)",
    )


def parse(arguments: list[str] | None) -> PoseOptions:
    """The command's options. Raises EgostreamError for values that could only fail later."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--heatmap", type=Path, help="run folder of train_heatmap.py, its heatmap.safetensors, or a weights folder"
    )
    parser.add_argument("--init", type=Path, help="start from this weights folder (fine-tuning)")
    parser.add_argument(
        "--stage", choices=("all", "backbone", "features"), default="all", help="stop after this stage (all)"
    )
    add_network_options(parser)
    add_backbone_options(parser)
    add_run_options(parser, epochs=30, batch=8, lr=1e-3)
    parser.add_argument("--description", default="AG-EgoPose", help="what weights.json says of itself")
    parser.set_defaults(weight_decay=0.0)
    given = PoseOptions(**vars(parser.parse_args(arguments)))
    check_options(given)
    check_positive(given, "backbone_minutes", "backbone_steps", "backbone_lr", "step_ms", "frames_per_window")
    options = with_starts(with_trained_time(given))
    check_stages(options)
    check_lowest(options, window=2, stride=1, cache_passes=1, backbone_batch=2)
    return options


def check_stages(options: PoseOptions) -> None:
    """Raise EgostreamError for options that cannot go together, or that lack one."""
    if options.cache and options.train_backbone not in (None, "none"):
        raise EgostreamError("--cache keeps the outputs of a frozen backbone: leave out --train-backbone, or --cache")
    if options.stage == "features" and not options.cache:
        raise EgostreamError("--stage features needs --cache FOLDER")
    if options.stage != "backbone" and not (options.heatmap or options.init):
        raise EgostreamError("--heatmap is needed: a run folder of tools/train_heatmap.py, or a weights folder")


def with_trained_time(options: PoseOptions) -> PoseOptions:
    """Temporal form, T and step filled in where they are not given.

    They are those of --init, if it was trained with motion, else the paper's. The tensors of all of them have the same
    names and shapes: nothing later could notice another choice.
    """
    weights = load_weights(options.init) if options.init else None
    if weights:
        require_backbone(weights, f"--init {options.init}")
    trained: dict = {"temporal": "window", "window": 64}
    if weights and NetworkSpec(**weights.network).use_motion:
        trained = {"temporal": weights.temporal, "window": weights.window, "step_ms": round(weights.step_ms, 4)}
        for name, value in trained.items():
            given = getattr(options, name)
            if given is not None and given != value and not options.no_motion:
                print(
                    f"--init {options.init} was trained with {value} where {flag(name)} {given} is given: "
                    "its motion has to be learned anew",
                    file=sys.stderr,
                )
    return replace(options, **{name: value for name, value in trained.items() if getattr(options, name) is None})


def with_starts(options: PoseOptions) -> PoseOptions:
    """What backbone and joint embedding start from, filled in where it is not given."""
    backbone, steps = options.backbone, options.embedding_steps
    if backbone is None and not options.init:
        backbone = "scratch" if options.no_motion else "imagenet"
    if steps is None and not options.embedding_minutes:
        steps = 0 if options.init or options.no_tokens else EMBEDDING_STEPS
    return replace(options, backbone=backbone, embedding_steps=steps)


def network_spec(options: PoseOptions) -> NetworkSpec:
    """Which network the options ask for. Raises EgostreamError for one that there is not."""
    try:
        return NetworkSpec(
            temporal=options.temporal,
            window=options.window,
            use_tokens=not options.no_tokens,
            use_motion=not options.no_motion,
            use_cross_attention=not options.no_cross_attention,
            use_identity=not (options.no_joint_identity or options.no_tokens),
        )
    except ValueError as error:
        raise EgostreamError(f"{error}. See --help") from None


def put_given(options: PoseOptions, network: EgoPoseNetwork, train: FrameSet) -> None:
    """Fill the network from --init and --heatmap, as far as they are given."""
    if options.init and load_whole(network, options.init, train.geometry):
        if not (options.backbone or options.trains_backbone):
            raise EgostreamError(
                f"the backbone of --init {options.init} was never trained: "
                "add --backbone FOLDER, made with --stage backbone, or --backbone imagenet"
            )
    if options.heatmap:
        size = load_heatmap(network.heatmap.network, options.heatmap).get("size", INPUT_SIZE)
        if size != INPUT_SIZE:
            print(
                f"{options.heatmap} was trained at {size} pixels; the tracker sees {INPUT_SIZE}. Train it on: --init",
                file=sys.stderr,
            )


def put_backbone(options: PoseOptions, network: EgoPoseNetwork) -> None:
    """Fill the backbone from --backbone, where it has no stage of its own."""
    if options.stage == "backbone":
        raise EgostreamError("--stage backbone needs --backbone-steps or --backbone-minutes")
    source = options.backbone
    if options.cache and not options.no_motion and source and (source == "scratch" or is_imagenet(source)):
        raise EgostreamError(
            f"--cache with --backbone {source} would freeze a projection that nobody trained: "
            "add --backbone-minutes or --backbone-steps"
        )
    if source and source != "scratch":
        load_backbone(network.backbone, source)


def main(arguments: list[str] | None = None) -> None:
    """Train the stages that the options ask for, or go on with the run in --out."""
    options = parse(arguments)
    prepare(options)
    network = build_network(network_spec(options))
    train, val = load_frame_set(options.data, "train"), load_frame_set(options.val or options.data, "val")
    put_given(options, network, train)
    if options.trains_backbone:
        train_backbone(options, network, train, val)
        if options.stage == "backbone":
            return
    else:
        put_backbone(options, network)
    if options.stage == "all" and (options.embedding_steps or options.embedding_minutes):
        train_embedding(options, network)
    train_heads(options, network, train, val)


if __name__ == "__main__":
    run_tool(main)
