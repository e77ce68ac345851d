"""Trained motion as a weights folder: the heatmaps that it was trained for, and the body's encoder and decoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.numpy import load_file

from egostream.graph.ports import LOOK_GRAPH, STEP_GRAPH
from egostream.graph.scales import Quantization, has_quantization, load_quantization, save_quantization
from egostream.graph.weights import Weights, save_weights
from tools.network.build import build_network
from tools.network.export import export_graph
from tools.network.network import BodyPoseNetwork
from tools.network.spec import NetworkSpec
from tools.training.best_tensors import below, load_best_or_say, load_strictly
from tools.training.motion.simulate import STEP_S
from tools.training.motion.training import Batch, inputs_of

WITHIN_SIGMA = 1 - math.exp(-1)  # share of distances below their mean, of the exponential law
SHAPE = ("window", "channels", "depth")  # what motion.safetensors says of the network that it holds


def write_motion_weights(
    folder: Path, motion: Path, base: Weights, description: str, held: Iterable[Batch] = ()
) -> Weights:
    """Write a weights folder of motion.safetensors and the heatmap graph of ``base``, whose bytes stay as they are.

    held: what the network was validated on. Its doubt is scaled so that it holds there.
    Raises EgostreamError when the file is none, or the disk is full.
    """
    tensors, facts = load_best_or_say(motion, "motion", "Train some: python tools/train_motion.py --help")
    window, channels, depth = (int(facts[name]) for name in SHAPE)
    spec = NetworkSpec(temporal="causal", backbone="none", window=window, channels=channels, depth=depth)
    network = build_network(spec)
    assert isinstance(network, BodyPoseNetwork)
    graphs: dict[str, dict[str, np.ndarray]] = {"heatmap": load_file(base.path("heatmap.safetensors"))}
    topologies = {"heatmap": base.path("heatmap.onnx").read_bytes()}
    for name in ("temporal", "decoder"):
        load_strictly(network.graph(name), below(f"{name}.", tensors), motion)
    scale_doubt(network, held)
    for name in ("temporal", "decoder"):
        graphs[name] = {key: value.float().numpy() for key, value in network.graph(name).state_dict().items()}
        topologies[name] = export_graph(network, name)
    weights = Weights(
        network=spec.as_dict(),
        step_ms=round(1000 * STEP_S, 4),
        input=base.input,
        trained=base.trained,
        description=description,
        metrics={f"val_{name}": value for name, value in facts.items() if name not in (*SHAPE, "step")},
    )
    saved = save_weights(folder, weights, graphs, topologies)
    if has_quantization(base):
        write_scales(saved, load_quantization(base))
    return saved


def scale_doubt(network: BodyPoseNetwork, held: Iterable[Batch]) -> None:
    """Scale sigma so that as many joints of held batches lie within as its law says; without any, leave it."""
    ratios = []
    with torch.no_grad():
        for batch in held:
            joints, sigma = network(*inputs_of(batch))
            ratios.append(((joints - batch["joints"]).norm(dim=-1) / sigma)[batch["valid"]].flatten())
        if ratios:
            network.decoder.log_sigma.bias += torch.cat(ratios).quantile(WITHIN_SIGMA).log()


def write_scales(weights: Weights, of_base: Quantization) -> None:
    """Write the int8 scales of the heatmap graph, which are those of the weights that it comes from."""
    whole = of_base.scales.get(STEP_GRAPH) or of_base.scales[LOOK_GRAPH]
    chosen = {name: scale for name, scale in whole.items() if name.startswith("heatmap.")}
    kept = [layer for layer in of_base.kept if layer.startswith("heatmap/")]
    save_quantization(weights, msgspec.structs.replace(of_base, scales={LOOK_GRAPH: chosen}, kept=kept, cost={}))
