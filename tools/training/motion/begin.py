"""Trained motion to begin from, or to average: of a run, or of a weights folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from egostream.errors import EgostreamError
from egostream.graph.ports import BODY_FORM
from egostream.graph.weights import load_tensors, load_weights
from tools.training.best_tensors import load_best_or_say


def motion_to_begin_with(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a run's motion.safetensors, or of a weights folder without a backbone, as ``BodyMotion`` names them.

    Raises EgostreamError when it is neither.
    """
    if not path.is_dir():
        return load_best_or_say(path, "motion", "Take a run's motion.safetensors, or a weights folder")[0]
    weights = load_weights(path)
    if weights.form != BODY_FORM:
        raise EgostreamError(f"{path}: weights with a backbone. Name weights without one: engines/default")
    return {
        f"{graph}.{key}": torch.from_numpy(value)
        for graph in ("temporal", "decoder")
        for key, value in load_tensors(weights, graph).items()
    }


def shape_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """The shape of the network that tensors are of, as ``BodyMotion`` takes it."""
    blocks = {key.split(".")[2] for key in tensors if key.startswith("temporal.blocks.")}
    window, channels = tensors["temporal.blocks.0.age_bias"].shape[1], len(tensors["temporal.norm.weight"])
    return {"window": window, "channels": channels, "depth": len(blocks)}
