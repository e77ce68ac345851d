"""What this machine can do, measured in a few seconds: python -m tools.adapting.rates WEIGHTS prints it as JSON.

A process of its own, so that its networks' memory is free again for training.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from egostream.calibration.view import HEATMAP_SIZE, INPUT_SIZE
from egostream.graph.weights import Weights, load_weights
from egostream.skeleton import JOINT_COUNT
from tools.adapting.plan import batch_size
from tools.data.datasets import read_data
from tools.data.inputs import InputReader
from tools.entry import run_tool
from tools.evaluation.predict import EnginePredictor, Frames
from tools.network.vision import BackboneGraph, HeatmapNetwork, Normalise
from tools.training.losses import heatmap_loss, heatmap_targets

SECONDS, LEAST_TURNS = 3.0, 2  # of each measurement, after one turn that does not count
CPU_BATCH = 4  # frames of a turn without a GPU: more are hardly quicker there, and take long
POSES = 40  # estimated by the streaming engine


def rate(turn: Callable[[], object], frames: int) -> float:
    """Frames a second of something that takes so many in a turn."""
    turn()
    begun, turns = time.monotonic(), 0
    while turns < LEAST_TURNS or time.monotonic() - begun < SECONDS:
        turn()
        turns += 1
    return frames * turns / (time.monotonic() - begun)


def learning(device: torch.device, batch: int) -> float:
    """Frames a second that a heatmap network learns from; their loading is not counted."""
    network = HeatmapNetwork().to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6)
    frames = Normalise().to(device)(torch.zeros(batch, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8, device=device))
    targets = heatmap_targets(torch.full((batch, JOINT_COUNT, 2), 30.0, device=device), HEATMAP_SIZE)

    def turn() -> float:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = heatmap_loss(network(frames), targets, "bce")
        loss.backward()
        optimizer.step()
        return loss.item()  # a GPU has finished then

    return rate(turn, batch)


def seeing(device: torch.device, has_backbone: bool) -> float:
    """Frames a second through the frozen networks that see frames."""
    batch = 64 if device.type != "cpu" else CPU_BATCH
    heatmaps = HeatmapNetwork().to(device, memory_format=torch.channels_last).eval()
    backbone = BackboneGraph().to(device, memory_format=torch.channels_last).eval() if has_backbone else None
    normalise = Normalise().to(device)
    frames = torch.zeros(batch, INPUT_SIZE, INPUT_SIZE, 3, dtype=torch.uint8, device=device)

    @torch.inference_mode()
    def turn() -> np.ndarray:
        with torch.autocast(device.type, torch.bfloat16):
            if backbone is not None:
                backbone(frames)
            return heatmaps(normalise(frames)).float().cpu().numpy()

    return rate(turn, batch)


def estimating(weights: Weights) -> float:
    """Poses a second through the streaming engine, which is compiled where it is missing."""
    predictor = EnginePredictor(weights, "auto", "auto", lambda line: print(line, file=sys.stderr))
    (sample,) = read_data("sample")[:1]
    frames = Frames(sample, InputReader(weights.input), sample.fps, POSES)
    begun = time.monotonic()
    predictor.predict(frames)
    return len(frames.rows) / (time.monotonic() - begun)


def main() -> None:
    """Measure, and print the rates as JSON with the seconds that measuring took."""
    begun = time.monotonic()
    weights = load_weights(Path(sys.argv[1]))
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    steps: dict[str, Callable[[], float]] = {
        "estimate": lambda: estimating(weights),
        "see": lambda: seeing(device, "backbone" in weights.graphs),
        "learn": lambda: learning(device, batch_size(True) if has_gpu else CPU_BATCH),
    }
    found: dict[str, float | bool] = {"has_gpu": has_gpu}
    for name, measure in steps.items():
        print(f"measuring: {name}", file=sys.stderr)
        found[name] = round(measure(), 2)
    print(json.dumps(found | {"measuring_s": time.monotonic() - begun}))


if __name__ == "__main__":
    run_tool(main)
