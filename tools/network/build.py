"""The network that a spec describes, with or without tensors."""

from __future__ import annotations

from egostream.errors import EgostreamError
from egostream.graph.weights import Weights, load_tensors
from tools.network.spec import NetworkSpec


def build_network(spec: NetworkSpec):
    """The whole network, randomly initialised by PyTorch, in eval mode."""
    from tools.network.network import BodyPoseNetwork, EgoPoseNetwork  # torchvision takes seconds to import

    return (BodyPoseNetwork if spec.backbone == "none" else EgoPoseNetwork)(spec).eval()


def load_network(weights: Weights):
    """The network of a weights folder, its tensors loaded strictly. Raises EgostreamError on a missing tensor."""
    import torch

    network = build_network(NetworkSpec(**weights.network))
    for name in weights.graphs:
        tensors = {key: torch.from_numpy(value) for key, value in load_tensors(weights, name).items()}
        missing = network.graph(name).load_state_dict(tensors, strict=False)
        needed = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
        if needed or missing.unexpected_keys:
            problem = f"lacks {needed[0]}" if needed else f"has unknown tensor {missing.unexpected_keys[0]}"
            raise EgostreamError(f"{weights.path(name)}.safetensors {problem}. Make the weights folder again")
    return network.eval()
