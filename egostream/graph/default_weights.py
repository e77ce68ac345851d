"""The weights that a run takes: those that were named, else the shipped ones, else untrained ones."""

from __future__ import annotations

from pathlib import Path

import msgspec

from egostream.config import PRESETS, RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.built import read_built
from egostream.graph.untrained import untrained_weights
from egostream.graph.weights import Weights, load_weights

#: Folder of the shipped weights; beside it lie those of other temporal forms, ``default-<form>``.
DEFAULT_WEIGHTS = asset("engines", "default")


def shipped_weights() -> dict[str, Path]:
    """Temporal form -> folder of the trained weights that came with this egostream. Raises EgostreamError."""
    folders = sorted(DEFAULT_WEIGHTS.parent.glob(f"{DEFAULT_WEIGHTS.name}*"))
    return {load_weights(folder).temporal: folder for folder in folders if (folder / "weights.json").is_file()}


def with_built(config: RunConfig) -> RunConfig:
    """A run's settings with weights, engines and backend of the folder of ``tools/build_engine.py`` that it names.

    ``--weights`` may name such a folder, and ``--engines`` without ``--weights``. What else is named stays.
    Raises EgostreamError when the weights are not there any more, or are not those that the engines were built of.
    """
    named = config.weights or config.engines
    built = read_built(Path(named)) if named else None
    if built is None:
        return config
    folder = built.weights_folder(Path(named))
    if not (folder / "weights.json").is_file():
        raise EgostreamError(
            f"{named} holds engines of the weights {built.weights_id[:12]}, which are not in {folder} any more. "
            f"Say where they are: --weights FOLDER --engines {named}"
        )
    if (found := load_weights(folder).id) != built.weights_id:
        raise EgostreamError(
            f"{named} holds engines of the weights {built.weights_id[:12]}, and {folder} has other ones now, "
            f"{found[:12]}. Build it again: python tools/build_engine.py {folder} -o {named}"
        )
    backend = built.backend if config.backend == "auto" else config.backend
    return msgspec.structs.replace(config, weights=str(folder), engines=config.engines or named, backend=backend)


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
