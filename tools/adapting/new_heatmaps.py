"""Weights with new heatmaps and all else as it was: python -m tools.adapting.new_heatmaps WEIGHTS HEATMAP-RUN OUT.

For weights without a backbone, whose motion is made of keypoints: it knows no camera, and stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np

from egostream.graph.weights import Weights, load_tensors, load_weights, save_weights
from tools.entry import run_tool
from tools.network.vision import HeatmapNetwork
from tools.training.best_tensors import COUNTER
from tools.training.heatmap import PREFIX, load_heatmap


def with_heatmaps(weights: Weights, run: Path, out: Path) -> Weights:
    """Write a copy of a weights folder that has the heatmap network of a run of tools/train_heatmap.py.

    Raises EgostreamError when the run has none, or the disk is full.
    """
    network = HeatmapNetwork()
    load_heatmap(network, run)
    trained = {
        PREFIX + key: value.float().numpy() for key, value in network.state_dict().items() if not key.endswith(COUNTER)
    }
    tensors: dict[str, dict[str, np.ndarray]] = {graph: load_tensors(weights, graph) for graph in weights.graphs}
    tensors["heatmap"] |= {key: value for key, value in trained.items() if key in tensors["heatmap"]}
    topologies = {graph: weights.path(f"{graph}.onnx").read_bytes() for graph in weights.graphs}
    return save_weights(out, msgspec.structs.replace(weights, metrics={}, folder=None), tensors, topologies)


def main() -> None:
    """Write the folder, and say its id."""
    weights, run, out = map(Path, sys.argv[1:])
    print(f"wrote {out}, weights {with_heatmaps(load_weights(weights), run, out).id[:12]}")


if __name__ == "__main__":
    run_tool(main)
