"""Which network: one frozen description, saved beside the weights, that fixes every tensor's shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from egostream.errors import EgostreamError
from egostream.graph.ports import BODY_FORM
from egostream.graph.weights import BACKBONES, Weights

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
    #: On: every joint token carries which joint it is. The paper's decoder sees a set of tokens.
    use_identity: bool = False
    #: "resnet50" as in the paper, or "none": motion is made of the body's keypoints (``body.py``).
    backbone: str = "resnet50"
    channels: int = 128  # d of the body's encoder; of no other's
    depth: int = 4  # its blocks

    def __post_init__(self) -> None:
        if (self.variant, self.temporal) not in WINDOWS:
            known = ", ".join(f"{v}/{t}" for v, t in WINDOWS)
            raise ValueError(f"no network {self.variant}/{self.temporal}; choose one of {known}")
        fixed = WINDOWS[self.variant, self.temporal]
        if fixed is not None and self.window != fixed:
            raise ValueError(
                f"the {self.variant} network fuses five scales, which only T = {fixed} has; got T = {self.window}"
            )
        if self.window < 2:
            raise ValueError(f"window must be at least 2 frames, got {self.window}")
        if self.backbone not in BACKBONES:
            raise ValueError(f"no backbone {self.backbone!r}; choose one of {', '.join(BACKBONES)}")
        if self.backbone == "none" and (self.variant, self.temporal) != ("paper", "causal"):
            raise ValueError(
                "backbone none is of the paper's variant in the causal form: leave variant and temporal out"
            )
        if not (self.use_tokens or self.use_motion):
            raise ValueError("use_tokens and use_motion cannot both be off: nothing would reach the decoder")

    @property
    def form(self) -> str:
        """By what the graphs' inputs and outputs are known, as ``Weights.form``."""
        return BODY_FORM if self.backbone == "none" else self.temporal

    def as_dict(self) -> dict:
        """The fields by name, as they are saved beside weights."""
        return asdict(self)


def require_backbone(weights: Weights, what: str) -> None:
    """Raise EgostreamError, which names ``what`` cannot be done, for weights without a backbone."""
    if weights.form == BODY_FORM:
        raise EgostreamError(f"{what}: weights {weights.folder} have no backbone. Name weights that have one")
