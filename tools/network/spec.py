"""Which network: one frozen description, saved beside the weights, that fixes every tensor's shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from egostream.errors import EgostreamError
from egostream.graph.weights import GRAPHS, Weights, load_tensors

#: (variant, temporal form) -> window length T the form is defined for; None: any even T.
WINDOWS = {("paper", "window"): None, ("paper", "causal"): None, ("released", "window"): 32}


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture switches. The defaults are the paper's full model."""

    variant: str = "paper"  # "paper" or "released" (the authors' code, which differs from their paper)
    temporal: str = "window"  # "window" (bidirectional inside the past T) or "causal" (cached keys and values)
    window: int = 64  # T, frames at the trained step
    use_tokens: bool = True  # off: the paper's "motion only"
    use_motion: bool = True  # off: the paper's "spatial only"
    use_cross_attention: bool = True  # off: the paper's "no cross-attention"
    use_identity: bool = False  # on: every joint token carries which joint it is; the paper's decoder sees a set of tokens

    def __post_init__(self):
        if (self.variant, self.temporal) not in WINDOWS:
            known = ", ".join(f"{v}/{t}" for v, t in WINDOWS)
            raise ValueError(f"no network {self.variant}/{self.temporal}; choose one of {known}")
        fixed = WINDOWS[self.variant, self.temporal]
        if fixed is not None and self.window != fixed:
            raise ValueError(f"the {self.variant} network fuses five scales, which only T = {fixed} has; got T = {self.window}")
        if self.window < 2:
            raise ValueError(f"window must be at least 2 frames, got {self.window}")
        if not (self.use_tokens or self.use_motion):
            raise ValueError("use_tokens and use_motion cannot both be off: nothing would reach the decoder")

    def as_dict(self) -> dict:
        return asdict(self)


def build_network(spec: NetworkSpec):
    """The whole network, randomly initialised by PyTorch, in eval mode."""
    from tools.network.network import EgoPoseNetwork  # torchvision takes seconds to import

    return EgoPoseNetwork(spec).eval()


def load_network(weights: Weights):
    """The network of a weights folder, its tensors loaded strictly. Raises EgostreamError on a missing tensor."""
    import torch

    network = build_network(NetworkSpec(**weights.network))
    for name in GRAPHS:
        tensors = {key: torch.from_numpy(value) for key, value in load_tensors(weights, name).items()}
        missing = network.graph(name).load_state_dict(tensors, strict=False)
        needed = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
        if needed or missing.unexpected_keys:
            problem = f"lacks {needed[0]}" if needed else f"has unknown tensor {missing.unexpected_keys[0]}"
            raise EgostreamError(f"{weights.folder / name}.safetensors {problem}. Make the weights folder again")
    return network.eval()
