"""The best tensors so far of every stage: one safetensors file each in its run folder, with facts of how they score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.graph.weights import load_tensors, load_weights

HEATMAP_FILE = "heatmap.safetensors"
EMBEDDING_FILE = "embedding.safetensors"
BACKBONE_FILE = "backbone.safetensors"
POSE_FILE = "pose.safetensors"
COUNTER = "num_batches_tracked"  # of batch norms: nothing after training reads it


def save_best(path: Path, state: Mapping[str, torch.Tensor], facts: dict) -> None:
    """Write tensors by name, without batch counters, and ``facts``. Raises EgostreamError when the disk is full."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items() if not key.endswith(COUNTER)}
    write_whole(path, save(tensors, {"facts": json.dumps(facts)}))


def load_best(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors by name, and facts (empty when there are none). Raises OSError or SafetensorError."""
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return tensors, json.loads((file.metadata() or {}).get("facts", "{}"))


def load_best_or_say(path: Path, what: str, advice: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and facts of a file that a user named. Raises EgostreamError "no ``what`` in PATH: ... ``advice``"."""
    try:
        return load_best(path)
    except (OSError, SafetensorError) as error:
        raise EgostreamError(f"no {what} in {path}: {error}. {advice}") from None


def graph_tensors(folder: Path, graph: str) -> dict[str, torch.Tensor]:
    """One graph's tensors of a weights folder. Raises EgostreamError when it is none."""
    return {key: torch.from_numpy(value) for key, value in load_tensors(load_weights(folder), graph).items()}


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names start with ``prefix``, named without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def load_strictly(module: nn.Module, tensors: Mapping[str, torch.Tensor], source: Path) -> None:
    """Fill a module. Raises EgostreamError naming a tensor that is missing, unknown or of another shape.

    Batch counters may be absent. source: what the error names.
    """
    try:
        result = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise EgostreamError(f"{source} does not fit: {' '.join(str(error).split())[:200]}") from None
    missing = [key for key in result.missing_keys if not key.endswith(COUNTER)]
    if missing or result.unexpected_keys:
        problem = f"lacks {missing[0]}" if missing else f"has unknown tensor {result.unexpected_keys[0]}"
        raise EgostreamError(f"{source} {problem}")
