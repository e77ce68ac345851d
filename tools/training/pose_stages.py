"""The stages of ``tools/train_pose.py``: embedding, backbone, windows of features or frames, and the heads on these."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import load_tensors, load_weights
from tools.network import NetworkSpec
from tools.network.network import EgoPoseNetwork
from tools.training.augment import Augmenter
from tools.training.backbone import BackboneTraining, load_backbone
from tools.training.best_tensors import BACKBONE_FILE, EMBEDDING_FILE, POSE_FILE, load_strictly
from tools.training.embedding import EmbeddingTraining, load_embedding
from tools.training.feature_cache import FeatureCache, Track, plain_tracks
from tools.training.frames import FrameSet
from tools.training.options import UNLIMITED_STEPS, EmbeddingOptions, PoseOptions, WindowOptions
from tools.training.pose import PoseHeads, PoseNetwork, PoseTraining, Vision
from tools.training.run import count_steps, fit
from tools.training.windows import WindowDataset, WindowDrawing, WindowShape
from tools.training.write_weights import write_weights

FINAL_LR = 0.1  # of the highest learning rate, at the end of the pose stage. Chosen by hand; not measured


def load_whole(network: EgoPoseNetwork, folder: Path, geometry: InputGeometry) -> bool:
    """Start from a weights folder. One without motion, or without joint identities, gives what it has.

    The new parts are silent at first. Returns whether motion is such a part. Raises EgostreamError when the folder does
    not fit otherwise, or was made for another input ``geometry``.
    """
    weights = load_weights(folder)
    earlier, spec = NetworkSpec(**weights.network), network.spec
    without_motion = spec.use_motion and not earlier.use_motion
    if weights.input != geometry:
        raise EgostreamError(
            f"--init {folder} sees {weights.input.calibration} {weights.input.mapping}, "
            f"the data is {geometry.calibration} {geometry.mapping}. Make data for it"
        )
    for name in GRAPHS:
        if name == "temporal" and without_motion:
            continue
        tensors = {k: torch.from_numpy(v) for k, v in load_tensors(weights, name).items()}
        if name == "decoder":
            tensors |= silent_parts(network, tensors, earlier)
        load_strictly(network.graph(name), tensors, folder / f"{name}.safetensors")
    return without_motion


def silent_parts(
    network: EgoPoseNetwork, tensors: dict[str, torch.Tensor], earlier: NetworkSpec
) -> dict[str, torch.Tensor]:
    """Tensors of the decoder's parts that an ``earlier`` network lacks: with them it gives the same joints at first."""
    spec, own = network.spec, network.decoder.state_dict()
    added: dict[str, torch.Tensor] = {}
    if spec.use_motion and not earlier.use_motion:
        key = "memory_proj.0.weight"
        added[key] = torch.cat([tensors[key], torch.zeros_like(own[key][:, tensors[key].shape[1] :])], 1)
        added |= {k: v for k, v in own.items() if k.startswith("motion_proj.")}
    if spec.use_identity and not earlier.use_identity:
        added["joint_identity"] = torch.zeros_like(network.decoder.joint_identity)
    return added


def train_embedding(options: EmbeddingOptions, network: EgoPoseNetwork) -> None:
    """The embedding stage; the result is put into ``network``."""
    folder = options.out / "embedding"
    steps = options.embedding_steps or UNLIMITED_STEPS
    module = EmbeddingTraining(options, steps, copy.deepcopy(network.heatmap.embedding), folder)
    fit(module, options, steps, options.embedding_minutes, folder)
    load_embedding(network.heatmap.embedding, folder / EMBEDDING_FILE)


def train_backbone(options: PoseOptions, network: EgoPoseNetwork, train: FrameSet, val: FrameSet) -> None:
    """The backbone stage; the result is put into ``network``."""
    folder = options.out / "backbone" if options.stage != "backbone" else options.out
    steps = options.backbone_steps or UNLIMITED_STEPS
    module = BackboneTraining(options, steps, train, val, folder)
    reader = module.network
    if options.backbone is None:
        reader.backbone.load_state_dict(network.backbone.state_dict())
    elif options.backbone != "scratch":
        load_backbone(reader.backbone, options.backbone, reader.head)
    elif options.heatmap:  # the two ResNets begin alike, and this one has seen such pictures
        for part in ("conv1", "bn1"):
            seen = getattr(network.heatmap.network.encoder, part)
            getattr(reader.backbone.resnet, part).load_state_dict(seen.state_dict())
    module.average.restart(reader)
    fit(module, options, steps, options.backbone_minutes, folder)
    load_backbone(network.backbone, str(folder / BACKBONE_FILE))
    print(f"wrote {folder / BACKBONE_FILE}")


def make_windows(
    options: WindowOptions, network: EgoPoseNetwork, train: FrameSet, val: FrameSet, step_ms: float
) -> tuple[WindowDataset, WindowDataset]:
    """Training and validation windows ``step_ms`` apart, of cached features or of frames."""
    augmenter = Augmenter(train.geometry, options.rotate, options.mirror, options.looks)
    # a causal stream's caches were made with a past of their own: twice the window shows every slot of them
    T = options.window * (2 if options.temporal == "causal" else 1)
    shape = WindowShape(T, options.stride, step_ms, options.frames_per_window or T)
    drawing = WindowDrawing(options.seed, jitter=not options.fixed_windows)
    if options.cache:
        train_tracks, val_tracks = cached_tracks(options, options.cache, network, augmenter, train, val)
        turns = not network.spec.use_motion  # of cached features nobody knows what they would have been, turned
    else:
        train_tracks, val_tracks, turns = plain_tracks(train), plain_tracks(val), True
    return (
        WindowDataset(train_tracks, shape, train, augmenter if turns else None, drawing),
        WindowDataset(val_tracks, WindowShape(options.window, options.stride, step_ms), val),
    )


def cached_tracks(
    options: WindowOptions, folder: Path, network: EgoPoseNetwork, augmenter: Augmenter, train: FrameSet, val: FrameSet
) -> tuple[list[Track], list[Track]]:
    """Training and validation tracks with the features of the frozen graphs, computed where ``folder`` lacks them."""
    device = "cuda" if options.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    place = lambda graph: copy.deepcopy(graph).to(device, memory_format=torch.channels_last)
    heatmap = place(network.heatmap.network)
    backbone = place(network.backbone) if network.spec.use_motion else None
    cache = FeatureCache(folder, heatmap, backbone, augmenter, options.seed)
    train_tracks = cache.tracks(train, options.cache_passes, workers=options.workers)
    return train_tracks, cache.tracks(val, 1, workers=options.workers)


def train_heads(options: PoseOptions, network: EgoPoseNetwork, train: FrameSet, val: FrameSet) -> None:
    """The pose stage, and the weights folder at its end."""
    step_ms = options.step_ms or 1000 / max(sequence.fps for sequence in train.sequences)
    windows = make_windows(options, network, train, val, step_ms)
    if options.stage == "features":
        return
    describe(options, windows[0])
    steps = count_steps(options, len(windows[0]))
    print(f"{len(windows[0])} training windows, {len(windows[1])} validation windows, {steps} steps", file=sys.stderr)
    learning = PoseNetwork(make_heads(options, network, train), make_vision(options, network))
    module = PoseTraining(options, steps, learning, windows, val, options.out)
    fit(module, options, steps, options.max_minutes, options.out, final_lr=FINAL_LR)
    if module.global_rank == 0:
        if not (options.out / POSE_FILE).is_file():
            raise EgostreamError(
                f"no validation window could be read, so {options.out} has no pose. Give other data with --val"
            )
        write_weights(options.out, network, train.geometry, windows[1].shape, val, options.description)


def describe(options: PoseOptions, train: WindowDataset) -> None:
    """Say on stderr which windows motion learns from."""
    if not options.no_motion:
        print(
            f"{options.temporal} windows of {options.window} frames, {train.shape.step_ms:.1f} ms apart; "
            f"the data fills {train.filled():.0%} of the slots it trains on",
            file=sys.stderr,
        )


def make_heads(options: PoseOptions, network: EgoPoseNetwork, train: FrameSet) -> PoseHeads:
    """The parts that the pose stage trains, as ``network`` has them."""
    heads = PoseHeads(network.spec, train.joints.mean(0), options.dropout, not options.freeze_embedding)
    heads.embedding.load_state_dict(network.heatmap.embedding.state_dict())
    if options.init:
        heads.temporal.load_state_dict(network.temporal.state_dict())
        heads.decoder.load_state_dict(network.decoder.state_dict())
    return heads


def make_vision(options: PoseOptions, network: EgoPoseNetwork) -> Vision | None:
    """The networks that see frames, the backbone trained as the options say; None where features are cached."""
    if options.cache:
        return None
    is_new = options.backbone == "scratch" and not (options.trains_backbone or options.init)
    trained = "none" if options.no_motion else options.train_backbone or ("all" if is_new else "layer4")
    return Vision(network.heatmap.network, network.backbone, trained)
