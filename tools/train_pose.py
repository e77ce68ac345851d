#!/usr/bin/env python3
"""Train everything after the heatmaps, and write a weights folder.

The paper's way (GPUs): the ResNet-50 from ImageNet, its layer4 and all that follows trained on windows of frames.

    python tools/train_pose.py --data data/synthetic --heatmap runs/heatmap --out runs/pose
    torchrun --nproc-per-node 4 tools/train_pose.py --data egopw:train_egopw.txt --val egopw:held_out_egopw.txt ...

The weights kept are those that do best on --val: for figures on the published test list, hold some training recordings out.

The joint embedding is first taught to tell where a peak lies, on drawn heatmaps: the pose loss alone hardly gets there.

On two CPU cores: what sees single frames first, without the motion branch; the backbone; then every frame's features once,
and the rest on those.

    python tools/train_pose.py --data data/synthetic --heatmap runs/heatmap --out runs/spatial --no-motion --window 2 --stride 1 \\
        --frames-per-window 1 --batch 192 --freeze-embedding --dropout 0 --cache cache --max-minutes 60
    python tools/train_pose.py --data data/synthetic --out runs/backbone-128 --stage backbone --backbone scratch \\
        --backbone-size 128 --backbone-minutes 60
    python tools/train_pose.py --data data/synthetic --out runs/backbone --stage backbone --backbone runs/backbone-128 \\
        --backbone-size 256 --backbone-minutes 60
    python tools/train_pose.py --data data/synthetic --init runs/spatial/weights --out runs/pose --backbone runs/backbone \\
        --cache cache --frames-per-window 16 --freeze-embedding --dropout 0 --max-minutes 60

Fine-tuning, such as the paper's EgoPW to SceneEgo: --init runs/egopw/weights. Killed or stopped by Ctrl-C, the same
command goes on from its last checkpoint. Afterwards: python tools/build_engine.py --help; egostream run --weights OUT/weights
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import lightning  # noqa: F401
    import torch
except ImportError:
    sys.exit("train_pose: PyTorch and Lightning are needed. Install them: pip install -e '.[train]'")

from egostream.errors import EgostreamError
from egostream.graph.weights import GRAPHS, Weights, load_tensors, load_weights, save_weights
from tools.entry import run_tool
from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.export_graphs import export_topologies
from tools.network import NetworkSpec, build_network
from tools.network.vision import FEATURE_CHANNELS
from tools.training.augment import Augmenter
from tools.training.backbone import CHECKPOINT as BACKBONE
from tools.training.backbone import BackboneTraining, load_backbone
from tools.training.embedding import CHECKPOINT as EMBEDDING
from tools.training.embedding import EmbeddingTraining, load_embedding
from tools.training.feature_cache import FeatureCache, plain_tracks
from tools.training.frames import FrameSet, load_frames, spread
from tools.training.heatmap import load_heatmap, load_strictly
from tools.training.pose import CHECKPOINT, PoseHeads, PoseNetwork, PoseTraining, Vision, load_pose
from tools.training.run import add_run_options, check_options, fit, prepare
from tools.training.windows import WindowDataset

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
        "--no-joint-identity", action="store_true", help="the paper's decoder, which cannot tell whose heatmap a token came from"
    )
    network.add_argument("--dropout", type=float, default=0.1, help="in the decoder (0.1); 0 where data is plenty and training short")
    embedding = parser.add_argument_group("joint embedding")
    embedding.add_argument(
        "--embedding-steps", type=int, help="teach it first, this many steps, to tell where a drawn peak lies (1500; with --init 0)"
    )
    embedding.add_argument("--embedding-minutes", type=float, help="the same, by time")
    embedding.add_argument("--freeze-embedding", action="store_true", help="leave it as it is then, or as --init has it: steps get cheaper")
    windows = parser.add_argument_group("windows")
    windows.add_argument("--stride", type=int, default=32, help="slots between windows (32)")
    windows.add_argument("--step-ms", type=float, help="time between a window's frames (one frame of the data; with --init its own)")
    windows.add_argument("--frames-per-window", type=int, help="frames estimated per window, the newest always (all); 16 is cheap")
    windows.add_argument(
        "--fixed-windows", action="store_true", help="the same windows every epoch, instead of shifted at random by up to a stride"
    )


def add_backbone_options(parser: argparse.ArgumentParser) -> None:
    """Where the backbone comes from, how it is trained, and whether what it gives is kept."""
    backbone = parser.add_argument_group("backbone")
    backbone.add_argument(
        "--backbone", help="imagenet, scratch, a run or weights folder, or a state dict's path (imagenet; with --init its own)"
    )
    backbone.add_argument(
        "--train-backbone", choices=("layer4", "all", "none"), help="what is trained with the pose (layer4; all if scratch)"
    )
    backbone.add_argument("--backbone-steps", type=int, help="train it on single frames first, this many steps")
    backbone.add_argument("--backbone-minutes", type=float, help="the same, by time")
    backbone.add_argument("--backbone-size", type=int, choices=(128, 192, 256), default=256, help="input side there (256)")
    backbone.add_argument("--backbone-batch", type=int, default=32)
    backbone.add_argument("--backbone-lr", type=float, default=1e-3)
    cache = parser.add_argument_group("cached features")
    cache.add_argument("--cache", type=Path, help="keep the frozen graphs' outputs in this folder and train on them")
    cache.add_argument("--cache-passes", type=int, default=1, help="times each training frame is cached, all but the first augmented (1)")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heatmap", type=Path, help="run folder of train_heatmap.py, its heatmap.safetensors, or a weights folder")
    parser.add_argument("--init", type=Path, help="start from this weights folder (fine-tuning)")
    parser.add_argument("--stage", choices=("all", "backbone", "features"), default="all", help="stop after this stage (all)")
    add_network_options(parser)
    add_backbone_options(parser)
    add_run_options(parser, epochs=30, batch=8, lr=1e-3)
    parser.add_argument("--description", default="AG-EgoPose", help="what weights.json says of itself")
    parser.set_defaults(weight_decay=0.0)
    options = parser.parse_args(arguments)
    check_options(options)
    choose_windows(options)
    if options.backbone is None and not options.init:
        options.backbone = "scratch" if options.no_motion else "imagenet"
    if options.embedding_steps is None and not options.embedding_minutes:
        options.embedding_steps = 0 if options.init or options.no_tokens else EMBEDDING_STEPS
    if options.cache and options.train_backbone not in (None, "none"):
        raise EgostreamError("--cache keeps the outputs of a frozen backbone: leave out --train-backbone, or --cache")
    if options.stage == "features" and not options.cache:
        raise EgostreamError("--stage features needs --cache FOLDER")
    if options.stage != "backbone" and not (options.heatmap or options.init):
        raise EgostreamError("--heatmap is needed: a run folder of tools/train_heatmap.py, or a weights folder")
    for name, lowest in (("window", 2), ("stride", 1), ("cache_passes", 1), ("backbone_batch", 2)):
        if getattr(options, name) < lowest:
            raise EgostreamError(f"--{name.replace('_', '-')} {getattr(options, name)}: at least {lowest}")
    return options


def choose_windows(options) -> None:
    """Temporal form, T and step where they are not given: those of --init, if it was trained with motion, else the paper's.

    The tensors of all of them have the same names and shapes: nothing later could notice another choice.
    """
    weights = load_weights(options.init) if options.init else None
    trained = {"temporal": "window", "window": 64}
    if weights and NetworkSpec(**weights.network).use_motion:
        trained = {"temporal": weights.temporal, "window": weights.window, "step_ms": round(weights.step_ms, 4)}
        for name, value in trained.items():
            given = getattr(options, name)
            if given is not None and given != value and not options.no_motion:
                flag = f"--{name.replace('_', '-')} {given}"
                print(
                    f"--init {options.init} was trained with {value} where {flag} is given: its motion has to be learned anew",
                    file=sys.stderr,
                )
    for name, value in trained.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def network_spec(options) -> NetworkSpec:
    switches = {f"use_{name}": not getattr(options, f"no_{name}") for name in ("tokens", "motion", "cross_attention")}
    switches["use_identity"] = not (options.no_joint_identity or options.no_tokens)
    try:
        return NetworkSpec(temporal=options.temporal, window=options.window, **switches)
    except ValueError as error:
        raise EgostreamError(f"{error}. See --help") from None


def load_whole(network, folder: Path, geometry) -> bool:
    """Start from a weights folder. One without motion, or without joint identities, gives what it has: the new parts
    are silent at first. Returns whether motion is such a part. Raises EgostreamError when it does not fit otherwise.
    """
    weights = load_weights(folder)
    earlier, spec = NetworkSpec(**weights.network), network.spec
    without_motion = spec.use_motion and not earlier.use_motion
    if weights.input != geometry:
        raise EgostreamError(
            f"--init {folder} sees {weights.input.calibration} {weights.input.mapping}, the data is {geometry.calibration} {geometry.mapping}. Make data for it"
        )
    for name in GRAPHS:
        if name == "temporal" and without_motion:
            continue
        tensors = {k: torch.from_numpy(v) for k, v in load_tensors(weights, name).items()}
        if name == "decoder" and without_motion:
            key, own = "memory_proj.0.weight", network.decoder.state_dict()
            tensors[key] = torch.cat([tensors[key], torch.zeros_like(own[key][:, tensors[key].shape[1] :])], 1)
            tensors |= {k: v for k, v in own.items() if k.startswith("motion_proj.")}
        if name == "decoder" and spec.use_identity and not earlier.use_identity:
            tensors["joint_identity"] = torch.zeros_like(network.decoder.joint_identity)
        load_strictly(network.graph(name), tensors, folder / f"{name}.safetensors")
    return without_motion


def train_embedding(options, network) -> None:
    """The embedding stage; the result is put into ``network``."""
    folder = options.out / "embedding"
    steps = options.embedding_steps or 10**7
    module = EmbeddingTraining(options, steps, copy.deepcopy(network.heatmap.embedding), folder)
    fit(module, options, steps, options.embedding_minutes, folder)
    load_embedding(network.heatmap.embedding, folder / EMBEDDING)


def train_backbone(options, network, train: FrameSet, val: FrameSet) -> None:
    """The backbone stage; the result is put into ``network``."""
    folder = options.out / "backbone" if options.stage != "backbone" else options.out
    steps = options.backbone_steps or 10**7
    module = BackboneTraining(options, steps, train, val, folder)
    if options.backbone is None:
        module.network.backbone.load_state_dict(network.backbone.state_dict())
    elif options.backbone != "scratch":
        load_backbone(module.network.backbone, options.backbone, module.network.head)
    elif options.heatmap:  # the two ResNets begin alike, and this one has seen such pictures
        for part in ("conv1", "bn1"):
            getattr(module.network.backbone.resnet, part).load_state_dict(getattr(network.heatmap.network.encoder, part).state_dict())
    module.average.restart(module.network)
    fit(module, options, steps, options.backbone_minutes, folder)
    load_backbone(network.backbone, str(folder / BACKBONE))
    print(f"wrote {folder / BACKBONE}")


def make_windows(options, network, train: FrameSet, val: FrameSet, step_ms: float) -> tuple[WindowDataset, WindowDataset]:
    """Training and validation windows, of cached features or of frames."""
    augmenter = Augmenter(train.geometry, options.rotate, options.mirror, options.looks)
    # a causal stream's caches were made with a past of their own: twice the window shows every slot of them
    slots = options.window * (2 if options.temporal == "causal" else 1)
    common = dict(T=slots, stride=options.stride, step_ms=step_ms, seed=options.seed)
    per_window = options.frames_per_window or slots
    if options.cache:
        device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
        graphs = [network.heatmap.network, network.backbone if network.spec.use_motion else None]
        graphs = [copy.deepcopy(graph).to(device, memory_format=torch.channels_last) if graph else None for graph in graphs]
        cache = FeatureCache(options.cache, *graphs, augmenter, options.seed)
        train_tracks = cache.tracks(train, options.cache_passes, workers=options.workers)
        val_tracks = cache.tracks(val, 1, workers=options.workers)
        sources = {} if network.spec.use_motion else {"augmenter": augmenter}
    else:
        train_tracks, val_tracks = plain_tracks(train), plain_tracks(val)
        sources = {"augmenter": augmenter}
    return (
        WindowDataset(
            train_tracks, per_window=per_window, training=True, jitter=not options.fixed_windows, frames=train, **sources, **common
        ),
        WindowDataset(val_tracks, per_window=1, frames=val, **common | {"T": options.window}),
    )


def write_weights(options, network, geometry, step_ms: float, windows: WindowDataset) -> None:
    """The best pose of the run and the frozen graphs as a weights folder."""
    tensors, facts = load_pose(options.out / CHECKPOINT)
    heads = {"embedding": network.heatmap.embedding, "temporal": network.temporal, "decoder": network.decoder}
    for name, module in heads.items():
        prefix = f"heads.{name}."
        load_strictly(module, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}, options.out / CHECKPOINT)
    backbone = {key.removeprefix("backbone."): value for key, value in tensors.items() if key.startswith("backbone.")}
    if backbone:
        load_strictly(network.backbone, backbone, options.out / CHECKPOINT)
    network.eval().requires_grad_(False)
    metrics = {f"val_{key}": value for key, value in facts.items() if key != "step"} | whole_network_scores(network, windows)
    print(", ".join(f"{key} {value:.1f}" for key, value in metrics.items()))
    weights = Weights(
        network=network.spec.as_dict(), step_ms=step_ms, input=geometry, trained=True, description=options.description, metrics=metrics
    )
    print("exporting the graphs ...", file=sys.stderr)
    saved = save_weights(options.out / "weights", weights, graph_tensors(network), export_topologies(network))
    print(
        f"wrote {options.out / 'weights'}, weights {saved.id[:12]}. Try: egostream run --source sample --weights {options.out / 'weights'}"
    )


def graph_tensors(network) -> dict[str, dict]:
    return {
        name: {k: v.float().numpy() for k, v in network.graph(name).state_dict().items() if not k.endswith("num_batches_tracked")}
        for name in GRAPHS
    }


@torch.inference_mode()
def whole_network_scores(network, windows: WindowDataset, count: int = 4) -> dict:
    """Errors of the whole fp32 network on a few validation windows, from the frames: no cache, no rounding."""
    frames, results = windows.frames, []
    plain = WindowDataset(plain_tracks(frames), windows.T, windows.stride, windows.step_ms, 1, frames=frames)
    for row in spread(len(plain), count):
        sample = {key: torch.as_tensor(value).unsqueeze(0) for key, value in plain[int(row), 0].items()}
        valid = sample["valid"]
        features = torch.zeros(1, windows.T, FEATURE_CHANNELS)
        features[valid] = torch.cat([network.backbone(frame) for frame in sample["frames"][valid].split(8)])
        motion = network.temporal(features, valid)[:, -1]
        _, tokens = network.heatmap(sample["frames"][:, -1])
        if not sample["weight"][0, -1]:
            continue  # its picture cannot be read
        results.append((network.decoder(tokens, motion).numpy(), sample["joints"][:, -1].numpy()))
    if not results:
        return {}
    estimated, truth = (torch.cat([torch.as_tensor(r[i]) for r in results]).numpy() for i in (0, 1))
    return {"whole_mpjpe_mm": mpjpe(estimated, truth), "whole_pa_mpjpe_mm": pa_mpjpe(estimated, truth), "whole_windows": len(results)}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    prepare(options)
    network = build_network(network_spec(options))
    train, val = load_frames(options.data, "train"), load_frames(options.val or options.data, "val")
    if options.init and load_whole(network, options.init, train.geometry):
        if not (options.backbone or options.backbone_steps or options.backbone_minutes):
            raise EgostreamError(
                f"the backbone of --init {options.init} was never trained: add --backbone FOLDER, made with --stage backbone, or --backbone imagenet"
            )
    if options.heatmap:
        facts = load_heatmap(network.heatmap.network, options.heatmap)
        if facts.get("size", 256) != 256:
            print(f"{options.heatmap} was trained at {facts['size']} pixels; the tracker sees 256. Train it on: --init", file=sys.stderr)
    if options.backbone_steps or options.backbone_minutes:
        train_backbone(options, network, train, val)
        if options.stage == "backbone":
            return
    elif options.stage == "backbone":
        raise EgostreamError("--stage backbone needs --backbone-steps or --backbone-minutes")
    elif (
        options.cache
        and not options.no_motion
        and options.backbone
        and (options.backbone in ("scratch", "imagenet") or options.backbone.endswith((".pth", ".pt")))
    ):
        raise EgostreamError(
            f"--cache with --backbone {options.backbone} would freeze a projection that nobody trained: add --backbone-minutes or --backbone-steps"
        )
    elif options.backbone and options.backbone != "scratch":
        load_backbone(network.backbone, options.backbone)
    if options.stage == "all" and (options.embedding_steps or options.embedding_minutes):
        train_embedding(options, network)
    train_heads(options, network, train, val)


def train_heads(options, network, train: FrameSet, val: FrameSet) -> None:
    """The pose stage, and the weights folder at its end."""
    step_ms = options.step_ms or 1000 / max(sequence.fps for sequence in train.sequences)
    train_windows, val_windows = make_windows(options, network, train, val, step_ms)
    if options.stage == "features":
        return
    if not options.no_motion:
        print(
            f"{options.temporal} windows of {options.window} frames, {step_ms:.1f} ms apart; the data fills {train_windows.filled():.0%} of the slots it trains on",
            file=sys.stderr,
        )
    heads = PoseHeads(network.spec, train.joints.mean(0), options.dropout, not options.freeze_embedding)
    heads.embedding.load_state_dict(network.heatmap.embedding.state_dict())
    if options.init:
        heads.temporal.load_state_dict(network.temporal.state_dict())
        heads.decoder.load_state_dict(network.decoder.state_dict())
    untrained = options.backbone == "scratch" and not (options.backbone_minutes or options.backbone_steps or options.init)
    trained = "none" if options.no_motion else options.train_backbone or ("all" if untrained else "layer4")
    vision = None if options.cache else Vision(network.heatmap.network, network.backbone, trained)
    world = int(os.environ.get("WORLD_SIZE", 1))
    steps = options.steps or math.ceil(options.epochs * len(train_windows) / (options.batch * world))
    print(f"{len(train_windows)} training windows, {len(val_windows)} validation windows, {steps} steps", file=sys.stderr)
    module = PoseTraining(options, steps, PoseNetwork(heads, vision), train_windows, val_windows, val, options.out)
    fit(module, options, steps, options.max_minutes, options.out, final_lr=0.1)
    if module.global_rank == 0:
        if not (options.out / CHECKPOINT).is_file():
            raise EgostreamError(f"no validation window could be read, so {options.out} has no pose. Give other data with --val")
        write_weights(options, network, train.geometry, step_ms, val_windows)


if __name__ == "__main__":
    run_tool(main)
