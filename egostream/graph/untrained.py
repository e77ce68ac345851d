"""Seeded, untrained weights, with which the whole pipeline can run and be measured before training.

Their poses mean nothing. Everything that carries such poses says so: ``Weights.trained`` is false.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import onnx

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError
from egostream.files import cache_folder
from egostream.graph.bind import shipped_topologies
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import Weights, load_weights, save_weights

SEED = 0
#: Bumped when the generated tensors change, so that cached ones are not taken for the new ones.
REVISION = 1
#: Frames of a window, as in the paper, and milliseconds between them: those of an ordinary camera, 30 frames a second.
WINDOW_FRAMES, STEP_MS = 64, 1000 / 30
#: Weight of the last norm of a residual branch. At 1, activations would grow from block to block. Chosen by hand; not
#: measured.
RESIDUAL_GAIN = 0.2


def untrained_weights(temporal: str = "window") -> Weights:
    """The untrained ``paper`` weights, made at first use and kept in the user's cache folder.

    temporal: ``window`` or ``causal``. Raises EgostreamError when the disk is full.
    """
    folder = cache_folder() / "weights" / f"untrained-paper-{temporal}-{REVISION}"
    try:
        return load_weights(folder)
    except EgostreamError:
        return make_untrained(folder, temporal)


def make_untrained(folder: Path, temporal: str) -> Weights:
    """Fill the shipped topologies with seeded random tensors, write them as a weights folder, and return its record.

    Raises EgostreamError when the disk is full.
    """
    source = shipped_topologies("paper", temporal)
    topologies = {graph: (source / f"{graph}.onnx").read_bytes() for graph in GRAPHS}
    tensors = {graph: random_tensors(graph, topologies[graph]) for graph in GRAPHS}
    weights = Weights(
        network={"variant": "paper", "temporal": temporal, "window": WINDOW_FRAMES},
        step_ms=STEP_MS,
        input=InputGeometry(calibration="canonical", mapping="crop"),
        trained=False,
        description=f"random tensors, seed {SEED}: for measuring the pipeline, not for poses",
    )
    return save_weights(folder, weights, tensors, topologies)


def random_tensors(graph: str, topology: bytes) -> dict[str, np.ndarray]:
    """One graph's tensors by name, float32, each from its own generator: their order in the graph does not matter.

    topology: the graph's ONNX file.
    """
    initializers = onnx.load_from_string(topology).graph.initializer
    named = {i.name.split("/", 1)[1]: tuple(i.dims) for i in initializers if i.name.startswith(f"{graph}/")}
    return {key: random_tensor(f"{graph}/{key}", shape) for key, shape in named.items()}


def random_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor, float32 of this shape: He-normal matrices and kernels (He et al. 2015), identity norms and biases.

    The last norm of each residual branch of the ResNets is RESIDUAL_GAIN instead.
    """
    kind = name.rsplit(".", 1)[-1]
    if len(shape) >= 2:
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        fan_in = int(np.prod(shape[1:]))
        return (rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)).astype(np.float32)
    if kind in ("bias", "running_mean", "in_proj_bias"):
        return np.zeros(shape, np.float32)
    is_last_norm = name.endswith((".bn2.weight", ".bn3.weight")) and "layer" in name
    return np.full(shape, RESIDUAL_GAIN if is_last_norm else 1.0, np.float32)
