#!/usr/bin/env python3
"""Make a weights folder small enough to ship: matrices and kernels in int8 per output channel, small ones in fp16.

    python tools/pack_weights.py runs/pose/weights --out engines/default
    python tools/evaluate.py --data data/synthetic --weights engines/default    # what it costs: compare the two tables

Vectors stay in fp32. The runtime unpacks them on loading and computes as before: only the stored values are rounded.
Each channel's scale is the one that leaves the least squared error, which clips outliers where that pays.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np
from safetensors.numpy import load_file

from egostream.graph.scales import has_quantization, load_quantization, save_quantization
from egostream.graph.weights import SCALE, Weights, load_tensors, load_weights, save_weights
from tools.entry import run_tool

SMALLEST = 2048  # values; smaller tensors (biases, norms) cost nothing and matter much
#: Candidate scales, as shares of the one that clips nothing. Chosen by hand; not measured.
SHRINKS = np.linspace(1.0, 0.7, 13)
MOST = 127  # the largest int8 value that has its negative
FP16_BELOW = 6e4  # magnitude: fp16 ends at 65504


def quantize_channels(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values and the scale of each channel of the first axis, float32 [C].

    A scale may clip outliers here, as weights are unpacked to fp32 before anything computes with them. The int8 graph's
    own (``int8.quantize_weight``) clips nothing. ``int8.best_scale`` searches in another way: one scale for a whole
    activation. Either search in place of the other would change the bytes of shipped files.
    """
    rows = value.reshape(len(value), -1)
    full = np.maximum(np.abs(rows).max(1), 1e-12) / MOST
    best, error = full.copy(), np.full(len(rows), np.inf)
    for shrink in SHRINKS:
        scale = full * shrink
        rounded = np.clip(np.round(rows / scale[:, None]), -MOST, MOST)
        squared = ((rounded * scale[:, None] - rows) ** 2).sum(1)
        better = squared < error
        best[better], error[better] = scale[better], squared[better]
    stored = np.clip(np.round(rows / best[:, None]), -MOST, MOST).astype(np.int8)
    return stored.reshape(value.shape), best.astype(np.float32)


def pack(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One graph's tensors as they are stored."""
    packed = {}
    for key, value in tensors.items():
        if value.dtype != np.float32:
            packed[key] = value
        elif value.ndim >= 2 and value.size >= SMALLEST:
            packed[key], packed[key + SCALE] = quantize_channels(value)
        else:
            packed[key] = (
                value.astype(np.float16) if np.abs(value).max(initial=0) < FP16_BELOW and value.ndim >= 2 else value
            )
    return packed


def packed_once(weights: Weights, graph: str) -> dict[str, np.ndarray]:
    """One graph's tensors as they are stored. Those that are packed already stay as they are, to the byte."""
    stored = load_file(weights.path(f"{graph}.safetensors"))
    return stored if any(key.endswith(SCALE) for key in stored) else pack(load_tensors(weights, graph))


def main(arguments: list[str] | None = None) -> None:
    """Pack one weights folder into another, and say how small it got."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="weights folder to pack")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    options = parser.parse_args(arguments)
    weights = load_weights(options.weights)
    tensors = {graph: packed_once(weights, graph) for graph in weights.graphs}
    topologies = {graph: (options.weights / f"{graph}.onnx").read_bytes() for graph in weights.graphs}
    packed = save_weights(options.out, msgspec.structs.replace(weights, folder=None), tensors, topologies)
    if has_quantization(weights):  # packing moves what layers get by less than int8 rounds it
        save_quantization(packed, load_quantization(weights))
    size = lambda folder: sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    print(f"{options.out}: {size(options.out):.1f} MiB, was {size(options.weights):.1f} MiB")


if __name__ == "__main__":
    run_tool(main)
