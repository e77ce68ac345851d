"""Everything a run needs, resolved and checked once, before any process starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from egostream.build import available_precisions, check_precision, engine_name, ensure_step_engine, wanted_fields
from egostream.calibration import Calibration, canonical_calibration, load_calibration
from egostream.camera import check_source, clip_path
from egostream.config import PRESETS, RunConfig
from egostream.engine import Backend, check_engine, choose_backend
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.publish import check_endpoint, check_keys
from egostream.rectify import Rectifier
from egostream.truth import Truth, truth_beside
from egostream.untrained import untrained_weights
from egostream.weights import STEP, Weights, load_weights

DEFAULT_WEIGHTS = asset("engines", "default")


@dataclass(frozen=True)
class RunSetup:
    """A checked run: handed to both processes as it is."""

    config: RunConfig
    weights: Weights
    camera: Calibration
    engine: Path
    engine_fields: dict  # what the engine's manifest must say
    truth: Truth | None = None  # of the clip that is played, when it lies beside it

    @property
    def precision(self) -> str:
        return self.engine_fields["precision"]

    @property
    def backend(self) -> str:
        return self.engine_fields["backend"]


def prepare_run(config: RunConfig, say: Callable[[str], None]) -> RunSetup:
    """Resolve weights, calibration and engine; compile what is missing. Raises EgostreamError."""
    check_endpoint("publish", config.publish, config)
    if config.control:
        check_endpoint("control", config.control, msgspec.structs.replace(config, server_key="", insecure=False))
    check_keys(config)
    check_source(config.source)
    weights = resolve_weights(config)
    camera = resolve_calibration(config, weights)
    Rectifier(weights.input, camera)  # refuses a lens that cannot see the network's view
    width, height = camera.size
    config = msgspec.structs.replace(config, width=config.width or width, height=config.height or height)
    backend = choose_backend(config.backend)
    precision = choose_precision(config, weights, backend)
    fields = wanted_fields(weights, STEP, backend, precision, batch=1)
    if config.engines:
        engine = Path(config.engines) / engine_name(STEP, backend, precision, 1)
        check_engine(engine, fields)
    else:
        engine = ensure_step_engine(weights, backend, precision, 1, say)
    return RunSetup(config, weights, camera, engine, fields, truth_beside(clip_path(config.source)))


def choose_precision(config: RunConfig, weights: Weights, backend: Backend) -> str:
    """The precision asked for by name, or the preset's best that backend and weights have."""
    if config.precision != "auto":
        return check_precision(backend, config.precision)
    available = available_precisions(weights, backend)
    return next((precision for precision in PRESETS[config.preset] if precision in available), available[0])


def has_default_weights() -> bool:
    """Whether this egostream came with trained weights."""
    return (DEFAULT_WEIGHTS / "weights.json").is_file()


def resolve_weights(config: RunConfig) -> Weights:
    """The weights folder asked for, checked for the temporal form, or ``default_weights``."""
    if not config.weights:
        return default_weights(config.temporal)
    weights = load_weights(Path(config.weights))
    if config.temporal not in ("auto", weights.temporal):
        raise EgostreamError(
            f"--temporal {config.temporal}: weights {weights.folder} were trained for {weights.temporal}. Leave --temporal out, or give {config.temporal} weights"
        )
    return weights


def default_weights(temporal: str = "auto") -> Weights:
    """The shipped weights; where there are none, or none of this temporal form, an untrained set, for measuring."""
    if has_default_weights():
        weights = load_weights(DEFAULT_WEIGHTS)
        if temporal in ("auto", weights.temporal):
            return weights
    return untrained_weights("window" if temporal == "auto" else temporal)


def resolve_calibration(config: RunConfig, weights: Weights) -> Calibration:
    """The camera's calibration: given, or canonical when the source is the sample or the user says so."""
    if config.calibration and config.assume_canonical:
        raise EgostreamError("--calibration and --assume-canonical exclude each other: give one")
    if config.calibration:
        return load_calibration(config.calibration)
    if config.assume_canonical or config.source == "sample":
        return canonical_calibration(weights.input.calibration)
    raise EgostreamError(
        f"no calibration for source {config.source}, and guessing a lens gives wrong poses. "
        "Make one: python tools/calibrate.py --help; then run with --calibration FILE (or --assume-canonical)"
    )
