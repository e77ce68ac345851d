"""The weights that a run takes: named ones, else the shipped, else an untrained set."""

from __future__ import annotations

from pathlib import Path

from egostream.config import PRESETS, RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.untrained import untrained_weights
from egostream.graph.weights import Weights, load_weights

DEFAULT_WEIGHTS = asset("engines", "default")


def shipped_weights() -> dict[str, Path]:
    """Folders of the trained weights that came with this egostream, by temporal form."""
    folders = sorted(DEFAULT_WEIGHTS.parent.glob(f"{DEFAULT_WEIGHTS.name}*"))
    return {load_weights(folder).temporal: folder for folder in folders if (folder / "weights.json").is_file()}


def resolve_weights(config: RunConfig) -> Weights:
    """The weights folder asked for, checked for the temporal form, or ``default_weights``."""
    if not config.weights:
        return default_weights(config.temporal, PRESETS[config.preset].temporals)
    weights = load_weights(Path(config.weights))
    if config.temporal not in ("auto", weights.temporal):
        raise EgostreamError(
            f"--temporal {config.temporal}: weights {weights.folder} were trained for {weights.temporal}. Leave --temporal out, or give {config.temporal} weights"
        )
    return weights


def default_weights(temporal: str = "auto", preferred: tuple[str, ...] = ("causal", "window")) -> Weights:
    """The shipped weights; where there are none, or none of this temporal form, an untrained set, for measuring.

    preferred: the forms that ``auto`` may be, best first.
    """
    shipped = shipped_weights()
    for form in preferred if temporal == "auto" else (temporal,):
        if form in shipped:
            return load_weights(shipped[form])
    return untrained_weights("window" if temporal == "auto" else temporal)
