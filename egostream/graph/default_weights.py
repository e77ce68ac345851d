"""The weights that a run takes: those that were named, else the shipped ones, else untrained ones."""

from __future__ import annotations

from pathlib import Path

from egostream.config import PRESETS, RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.untrained import untrained_weights
from egostream.graph.weights import Weights, load_weights

#: Folder of the shipped weights; beside it lie those of other temporal forms, ``default-<form>``.
DEFAULT_WEIGHTS = asset("engines", "default")


def shipped_weights() -> dict[str, Path]:
    """Temporal form -> folder of the trained weights that came with this egostream. Raises EgostreamError."""
    folders = sorted(DEFAULT_WEIGHTS.parent.glob(f"{DEFAULT_WEIGHTS.name}*"))
    return {load_weights(folder).temporal: folder for folder in folders if (folder / "weights.json").is_file()}


def resolve_weights(config: RunConfig) -> Weights:
    """The weights of the folder that a run names, or ``default_weights`` where it names none.

    Raises EgostreamError when the folder is not one of weights, or of another temporal form than the one asked for.
    """
    if not config.weights:
        return default_weights(config.temporal, PRESETS[config.preset].temporals)
    weights = load_weights(Path(config.weights))
    if config.temporal not in ("auto", weights.temporal):
        raise EgostreamError(
            f"--temporal {config.temporal}: weights {weights.folder} were trained for {weights.temporal}. "
            f"Leave --temporal out, or give {config.temporal} weights"
        )
    return weights


def default_weights(temporal: str = "auto", preferred: tuple[str, ...] = ("causal", "window")) -> Weights:
    """The shipped weights of a temporal form; where there are none, untrained ones, which serve for measuring.

    preferred: the forms that ``auto`` may be, best first. Raises EgostreamError.
    """
    shipped = shipped_weights()
    for form in preferred if temporal == "auto" else (temporal,):
        if form in shipped:
            return load_weights(shipped[form])
    return untrained_weights("window" if temporal == "auto" else temporal)
