"""A seeded, untrained set of weights, so that the whole pipeline can run and be measured before training.

Its poses mean nothing, and everything that carries them says so: ``trained`` is false.
"""

from __future__ import annotations

import zlib

import numpy as np
import onnx

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError
from egostream.files import cache_folder
from egostream.graph.bind import shipped_topologies
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import Weights, load_weights, save_weights

SEED = 0
#: Bumped when the generated tensors change, so that a cached set is not taken for the new one.
REVISION = 1
WINDOW, STEP_MS = 64, 1000 / 30


def untrained_weights(temporal: str = "window") -> Weights:
    """The untrained ``paper`` weights, made on first use and kept in the user's cache folder."""
    folder = cache_folder() / "weights" / f"untrained-paper-{temporal}-{REVISION}"
    try:
        return load_weights(folder)
    except EgostreamError:
        return make_untrained(folder, temporal)


def make_untrained(folder, temporal: str) -> Weights:
    """Fill the shipped topologies with seeded random tensors and write them as a weights folder."""
    source = shipped_topologies("paper", temporal)
    topologies = {graph: (source / f"{graph}.onnx").read_bytes() for graph in GRAPHS}
    tensors = {graph: random_tensors(graph, topologies[graph]) for graph in GRAPHS}
    weights = Weights(
        network={"variant": "paper", "temporal": temporal, "window": WINDOW},
        step_ms=STEP_MS,
        input=InputGeometry(calibration="canonical", mapping="crop"),
        trained=False,
        description=f"random tensors, seed {SEED}: for measuring the pipeline, not for poses",
    )
    return save_weights(folder, weights, tensors, topologies)


def random_tensors(graph: str, topology: bytes) -> dict[str, np.ndarray]:
    """One graph's tensors, each from its own generator, so that the order of the graph does not matter."""
    initializers = onnx.load_from_string(topology).graph.initializer
    named = {i.name.split("/", 1)[1]: tuple(i.dims) for i in initializers if i.name.startswith(f"{graph}/")}
    return {key: random_tensor(f"{graph}/{key}", shape) for key, shape in named.items()}


def random_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """He-normal matrices and kernels; norms and biases as the identity, residual branches of the ResNets damped."""
    kind = name.rsplit(".", 1)[-1]
    if len(shape) >= 2:
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        fan_in = int(np.prod(shape[1:]))
        return (rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)).astype(np.float32)
    if kind in ("bias", "running_mean", "in_proj_bias"):
        return np.zeros(shape, np.float32)
    is_last_norm = name.endswith((".bn2.weight", ".bn3.weight")) and "layer" in name
    return np.full(shape, 0.2 if is_last_norm else 1.0, np.float32)
