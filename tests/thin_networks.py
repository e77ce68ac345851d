"""Networks whose ResNets have an eighth of the channels: the same graphs, ports, windows and parts, run in less time.

For tests of what is done with a network (windows, motion between poses, batches, streams), where any function of the
frames will do. That the full networks are right is for tests/graph, tests/engine and tests/tools/network to show.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import onnx

from egostream.graph.untrained import random_tensors
from egostream.graph.weights import Weights, load_tensors, save_weights

NARROWER = 8
#: Initialisers of the ResNets and of the heatmaps' decoder. Anything narrower than this is no count of channels.
PREFIXES, NARROWEST = ("heatmap/network.", "backbone/resnet.", "backbone/linear.weight"), 64


def thin_weights(weights: Weights, folder: Path) -> Weights:
    """Untrained weights in a new folder, thin, of another's network, window, step and input."""
    topologies = {graph: thin_topology(weights.path(f"{graph}.onnx")) for graph in weights.graphs}
    tensors = {graph: random_tensors(graph, topology) for graph, topology in topologies.items()}
    record = msgspec.structs.replace(weights, trained=False, metrics={}, description="thin: for tests")
    return save_weights(folder, record, tensors, topologies)


def two_seconds(weights: Weights, factory) -> Weights:
    """Causal weights with the window that networks are trained with: 32 slots of 1/15 s."""
    from tools.network.build import build_network
    from tools.network.export import export_graph
    from tools.network.spec import NetworkSpec

    spec = NetworkSpec(temporal="causal", window=32)
    topologies = {graph: weights.path(f"{graph}.onnx").read_bytes() for graph in weights.graphs}
    topologies["temporal"] = export_graph(build_network(spec), "temporal")
    tensors = {graph: random_tensors(graph, topology) for graph, topology in topologies.items()}
    record = msgspec.structs.replace(weights, network=spec.as_dict(), step_ms=66.6667)
    return save_weights(factory.mktemp("two-seconds") / "weights", record, tensors, topologies)


def thin_topology(path: Path) -> bytes:
    """A topology with an eighth of the channels. Channels stand in the shapes of its initialisers alone."""
    model = onnx.load(path, load_external_data=False)
    for initializer in model.graph.initializer:
        if initializer.name.startswith(PREFIXES):
            dims = list(initializer.dims)
            kept = 1 if initializer.name == "backbone/linear.weight" else 0  # its outputs are the features
            initializer.dims[:] = dims[:kept] + [d // NARROWER if d >= NARROWEST else d for d in dims[kept:]]
    return model.SerializeToString(deterministic=True)


def thin_network(weights: Weights):
    """The PyTorch network of thin weights. Its layers compute with whatever tensors they hold."""
    import torch

    from tools.network.build import build_network
    from tools.network.spec import NetworkSpec

    network = build_network(NetworkSpec(**weights.network))
    for graph in weights.graphs:
        for key, value in load_tensors(weights, graph).items():
            owner, _, name = key.rpartition(".")
            module, tensor = network.graph(graph).get_submodule(owner), torch.from_numpy(value)
            held = getattr(module, name)
            setattr(module, name, torch.nn.Parameter(tensor) if isinstance(held, torch.nn.Parameter) else tensor)
    return network.eval()
