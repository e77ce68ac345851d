"""The stages of ``tools/train_pose.py``."""

from __future__ import annotations

import copy
import math
import os
import sys
from pathlib import Path

import torch

from egostream.errors import EgostreamError
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import load_tensors, load_weights
from tools.network import NetworkSpec
from tools.training.augment import Augmenter
from tools.training.backbone import CHECKPOINT as BACKBONE
from tools.training.backbone import BackboneTraining, load_backbone
from tools.training.embedding import CHECKPOINT as EMBEDDING
from tools.training.embedding import EmbeddingTraining, load_embedding
from tools.training.feature_cache import FeatureCache, plain_tracks
from tools.training.frames import FrameSet
from tools.training.heatmap import load_strictly
from tools.training.pose import CHECKPOINT, PoseHeads, PoseNetwork, PoseTraining, Vision
from tools.training.run import fit
from tools.training.windows import WindowDataset
from tools.training.write_weights import write_weights


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
            getattr(module.network.backbone.resnet, part).load_state_dict(
                getattr(network.heatmap.network.encoder, part).state_dict()
            )
    module.average.restart(module.network)
    fit(module, options, steps, options.backbone_minutes, folder)
    load_backbone(network.backbone, str(folder / BACKBONE))
    print(f"wrote {folder / BACKBONE}")


def make_windows(
    options, network, train: FrameSet, val: FrameSet, step_ms: float
) -> tuple[WindowDataset, WindowDataset]:
    """Training and validation windows, of cached features or of frames."""
    augmenter = Augmenter(train.geometry, options.rotate, options.mirror, options.looks)
    # a causal stream's caches were made with a past of their own: twice the window shows every slot of them
    slots = options.window * (2 if options.temporal == "causal" else 1)
    common = dict(T=slots, stride=options.stride, step_ms=step_ms, seed=options.seed)
    per_window = options.frames_per_window or slots
    if options.cache:
        device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
        graphs = [network.heatmap.network, network.backbone if network.spec.use_motion else None]
        graphs = [
            copy.deepcopy(graph).to(device, memory_format=torch.channels_last) if graph else None for graph in graphs
        ]
        cache = FeatureCache(options.cache, *graphs, augmenter, options.seed)
        train_tracks = cache.tracks(train, options.cache_passes, workers=options.workers)
        val_tracks = cache.tracks(val, 1, workers=options.workers)
        sources = {} if network.spec.use_motion else {"augmenter": augmenter}
    else:
        train_tracks, val_tracks = plain_tracks(train), plain_tracks(val)
        sources = {"augmenter": augmenter}
    return (
        WindowDataset(
            train_tracks,
            per_window=per_window,
            training=True,
            jitter=not options.fixed_windows,
            frames=train,
            **sources,
            **common,
        ),
        WindowDataset(val_tracks, per_window=1, frames=val, **common | {"T": options.window}),
    )


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
    untrained = options.backbone == "scratch" and not (
        options.backbone_minutes or options.backbone_steps or options.init
    )
    trained = "none" if options.no_motion else options.train_backbone or ("all" if untrained else "layer4")
    vision = None if options.cache else Vision(network.heatmap.network, network.backbone, trained)
    world = int(os.environ.get("WORLD_SIZE", 1))
    steps = options.steps or math.ceil(options.epochs * len(train_windows) / (options.batch * world))
    print(
        f"{len(train_windows)} training windows, {len(val_windows)} validation windows, {steps} steps", file=sys.stderr
    )
    module = PoseTraining(options, steps, PoseNetwork(heads, vision), train_windows, val_windows, val, options.out)
    fit(module, options, steps, options.max_minutes, options.out, final_lr=0.1)
    if module.global_rank == 0:
        if not (options.out / CHECKPOINT).is_file():
            raise EgostreamError(
                f"no validation window could be read, so {options.out} has no pose. Give other data with --val"
            )
        write_weights(options, network, train.geometry, step_ms, val_windows)
