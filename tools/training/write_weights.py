"""A trained network as a weights folder, with its scores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from egostream.calibration.view import InputGeometry
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import Weights, save_weights
from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.network.export import export_topologies
from tools.network.network import EgoPoseNetwork
from tools.network.vision import FEATURE_CHANNELS
from tools.training.best_tensors import COUNTER, POSE_FILE, below, load_best, load_strictly
from tools.training.feature_cache import plain_tracks
from tools.training.frames import FrameSet, spread
from tools.training.windows import WindowDataset, WindowShape

WHOLE_WINDOWS = 4  # scored through the whole network: each takes a pass of the ResNet-50 over T frames
FRAMES_AT_ONCE = 8  # in such a pass


def write_weights(
    run: Path, network: EgoPoseNetwork, geometry: InputGeometry, shape: WindowShape, val: FrameSet, description: str
) -> None:
    """Write the best pose of a run folder, and the frozen graphs of ``network``, as a weights folder in it.

    shape: that of the validation windows. val: the frames whose windows the whole network is scored on.
    """
    facts = put_best(network, run / POSE_FILE)
    network.eval().requires_grad_(False)
    metrics = {f"val_{key}": value for key, value in facts.items() if key != "step"}
    metrics |= whole_network_scores(network, shape, val)
    print(", ".join(f"{key} {value:.1f}" for key, value in metrics.items()))
    weights = Weights(
        network=network.spec.as_dict(),
        step_ms=shape.step_ms,
        input=geometry,
        trained=True,
        description=description,
        metrics=metrics,
    )
    print("exporting the graphs ...", file=sys.stderr)
    folder = run / "weights"
    saved = save_weights(folder, weights, tensors_of(network), export_topologies(network))
    print(f"wrote {folder}, weights {saved.id[:12]}. Try: egostream run --source sample --weights {folder}")
    if saved.has_failed:
        print(f"WARNING: they have learnt nothing: {saved.validation_mm:.0f} mm off. Train for longer", file=sys.stderr)


def put_best(network: EgoPoseNetwork, path: Path) -> dict:
    """Fill the network's heads, and its backbone where it was trained with them, from pose.safetensors.

    Returns the file's facts.
    """
    tensors, facts = load_best(path)
    heads = {"embedding": network.heatmap.embedding, "temporal": network.temporal, "decoder": network.decoder}
    for name, module in heads.items():
        load_strictly(module, below(f"heads.{name}.", tensors), path)
    if backbone := below("backbone.", tensors):
        load_strictly(network.backbone, backbone, path)
    return facts


def tensors_of(network: EgoPoseNetwork) -> dict[str, dict[str, np.ndarray]]:
    """Every graph's tensors, float32, without batch counters."""
    states = {name: network.graph(name).state_dict() for name in GRAPHS}
    return {
        name: {key: value.float().numpy() for key, value in state.items() if not key.endswith(COUNTER)}
        for name, state in states.items()
    }


@torch.inference_mode()
def whole_network_scores(network: EgoPoseNetwork, shape: WindowShape, val: FrameSet) -> dict:
    """Errors of the whole fp32 network on a few validation windows, from the frames: no cache, no rounding.

    Empty when no window's newest frame can be read.
    """
    windows, results = WindowDataset(plain_tracks(val), shape, val), []
    for row in spread(len(windows), WHOLE_WINDOWS):
        sample = {key: torch.as_tensor(value).unsqueeze(0) for key, value in windows[int(row), 0].items()}
        joints = whole_pose(network, sample["frames"], sample["valid"])
        if not sample["weight"][0, -1]:
            continue  # its picture cannot be read
        results.append((joints, sample["joints"][:, -1].numpy()))
    if not results:
        return {}
    estimated, truth = (np.concatenate(side) for side in zip(*results))
    return {
        "whole_mpjpe_mm": mpjpe(estimated, truth),
        "whole_pa_mpjpe_mm": pa_mpjpe(estimated, truth),
        "whole_windows": len(results),
    }


def whole_pose(network: EgoPoseNetwork, frames: torch.Tensor, valid: torch.Tensor) -> np.ndarray:
    """Joints [1, 15, 3] of the newest frame of one window, frames u8 [1, T, 256, 256, 3] and valid [1, T]."""
    features = torch.zeros(*valid.shape, FEATURE_CHANNELS)
    features[valid] = torch.cat([network.backbone(part) for part in frames[valid].split(FRAMES_AT_ONCE)])
    motion = network.temporal(features, valid)[:, -1]
    _, tokens = network.heatmap(frames[:, -1])
    return network.decoder(tokens, motion).numpy()
