"""Everything a run needs, resolved and checked once, before any process starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from egostream.build import available_precisions, check_precision, engine_name, ensure_step_engine, wanted_fields
from egostream.calibration import Calibration, canonical_calibration, load_calibration
from egostream.camera import check_source, clip_path
from egostream.config import PRESETS, RunConfig, stream_configs
from egostream.engine import Backend, EngineFile, check_engine, choose_backend
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.publish import check_endpoint, check_keys
from egostream.rectify import Rectifier
from egostream.truth import Truth, truth_beside
from egostream.untrained import untrained_weights
from egostream.weights import STEP, Weights, load_weights

DEFAULT_WEIGHTS = asset("engines", "default")


@dataclass(frozen=True)
class StreamSetup:
    """One camera of a run."""

    config: RunConfig  # the run's settings, with this stream's own
    camera: Calibration
    truth: Truth | None = None  # of the clip that is played, when it lies beside it


@dataclass(frozen=True)
class RunSetup:
    """A checked run: handed to all processes as it is."""

    config: RunConfig
    weights: Weights
    streams: tuple[StreamSetup, ...]
    engines: tuple[EngineFile, ...]

    @property
    def precision(self) -> str:
        return self.engines[0].fields["precision"]

    @property
    def backend(self) -> str:
        return self.engines[0].fields["backend"]


def prepare_run(config: RunConfig, say: Callable[[str], None]) -> RunSetup:
    """Resolve weights, calibrations and engines; compile what is missing. Raises EgostreamError."""
    check_endpoint("publish", config.publish, config)
    if config.control:
        check_endpoint("control", config.control, msgspec.structs.replace(config, server_key="", insecure=False))
    check_keys(config)
    configs = stream_configs(config)
    for one in configs:
        check_source(one.source)
    weights = resolve_weights(config)
    streams = tuple(prepare_stream(one, weights) for one in configs)
    backend = choose_backend(config.backend)
    precision = choose_precision(config, weights, backend)
    return RunSetup(config, weights, streams, step_engines(config, weights, backend, precision, len(streams), say))


def prepare_stream(config: RunConfig, weights: Weights) -> StreamSetup:
    """Resolve one stream's calibration. Raises EgostreamError."""
    camera = resolve_calibration(config, weights)
    Rectifier(weights.input, camera)  # refuses a lens that cannot see the network's view
    width, height = camera.size
    config = msgspec.structs.replace(config, width=config.width or width, height=config.height or height)
    return StreamSetup(config, camera, truth_beside(clip_path(config.source)))


def step_engines(config: RunConfig, weights: Weights, backend: Backend, precision: str, streams: int, say) -> tuple[EngineFile, ...]:
    """The step engine in every batch size that these streams need: from the folder given, or the cache."""
    engines = []
    for batch in batch_sizes(streams):
        fields = wanted_fields(weights, STEP, backend, precision, batch)
        if not config.engines:
            path = ensure_step_engine(weights, backend, precision, batch, say)
        else:
            path = Path(config.engines) / engine_name(STEP, backend, precision, batch)
            if batch > 1 and not path.exists():
                continue  # the smaller ones serve as well, one after another
            check_engine(path, fields)
        engines.append(EngineFile(path, fields))
    return tuple(engines)


def batch_sizes(streams: int) -> list[int]:
    """Batches that a processor's engines are compiled for: powers of two, of which any number of frames is made up."""
    return [size for size in (1, 2, 4, 8) if size <= streams]


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
