"""Everything a run needs, resolved and checked once, before any process starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration
from egostream.capture.camera import check_source, clip_path, recording_of
from egostream.capture.rectify import Rectifier
from egostream.config import MAX_STREAMS, PRESETS, RunConfig, stream_configs
from egostream.engine.build import available_precisions, cached_engine_folder, check_precision, engine_files, ensure_engines
from egostream.engine.contract import REBUILD, Backend, EngineFile, backend, check_engine, choose_backend, has_tensorrt
from egostream.engine.cuda import find_gpu
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.untrained import untrained_weights
from egostream.graph.weights import MOTION, POSE, STEP, Weights, load_weights
from egostream.publish.publisher import check_endpoint, check_keys
from egostream.truth import Truth, truth_beside

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

    @property
    def motion(self) -> str:
        return "trained-step" if any(file.fields["graph"] == POSE for file in self.engines) else "every-frame"


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
    streams = tuple(prepare_stream(one, weights, say) for one in configs)
    runner, precision = choose_runner(config, weights, len(streams), say)
    return RunSetup(config, weights, streams, tuple(prepare_engines(config, weights, runner, precision, len(streams), say)))


def prepare_stream(config: RunConfig, weights: Weights, say: Callable[[str], None]) -> StreamSetup:
    """Resolve one stream's calibration and truth. Raises EgostreamError."""
    camera = resolve_calibration(config, weights)
    Rectifier(weights.input, camera)  # refuses a lens that cannot see the network's view
    width, height = camera.size
    config = msgspec.structs.replace(config, width=config.width or width, height=config.height or height)
    return StreamSetup(config, camera, truth_of(config, say))


def truth_of(config: RunConfig, say: Callable[[str], None]) -> Truth | None:
    """The truth beside a clip, unless it is another clip's. Raises EgostreamError when it is malformed."""
    truth = truth_beside(clip_path(config.source))
    if truth is None:
        return None
    recording = recording_of(config)
    try:
        recording.open()
        recording.close()
    except EgostreamError:
        return truth  # the camera's to say
    if recording.count and abs(recording.count - len(truth)) > 1 + len(truth) / 50:  # some containers only estimate it
        say(f"no error is shown: the clip {config.source} has {recording.count} frames, the ground truth beside it is of {len(truth)}")
        return None
    return truth


def choose_runner(config: RunConfig, weights: Weights, streams: int, say: Callable[[str], None]) -> tuple[Backend, str]:
    """Backend and precision. ``auto`` takes TensorRT where there is a GPU and its engines are compiled, and says why not."""
    if config.backend == "tensorrt" or (config.backend == "auto" and has_tensorrt()):
        try:
            find_gpu()  # before the library is imported, which takes long
            runner = backend("tensorrt")
            if config.motion == "trained-step":
                raise EgostreamError("--motion trained-step is for processors, a GPU has the time for every frame: leave it out")
            runner.aim_here()
            precision = choose_precision(config, weights, runner)
            if config.backend == "auto":
                gpu_engines(config, weights, runner, precision, streams)
            return runner, precision
        except EgostreamError as error:
            if config.backend == "tensorrt":
                raise
            say(f"TensorRT is installed, but not used: {error}")
    runner = choose_backend(config.backend)
    return runner, choose_precision(config, weights, runner)


def prepare_engines(config: RunConfig, weights: Weights, runner: Backend, precision: str, streams: int, say) -> list[EngineFile]:
    """The engines of a run, checked: from the folder given, or the cache, where missing ones are compiled."""
    if runner.name != "tensorrt":
        return processor_engines(config, weights, runner, precision, streams, say)
    try:
        return gpu_engines(config, weights, runner, precision, streams)
    except EgostreamError:
        if config.engines:
            raise
    return ensure_engines(weights, runner.runs, runner, precision, gpu_batch(streams), say)


def on_processor(setup: RunSetup, say: Callable[[str], None]) -> RunSetup:
    """The same run without a GPU."""
    runner = choose_backend("auto")
    config = msgspec.structs.replace(setup.config, engines="", precision="auto")
    precision = choose_precision(config, setup.weights, runner)
    engines = processor_engines(config, setup.weights, runner, precision, len(setup.streams), say)
    return replace(setup, config=config, engines=tuple(engines))


def gpu_engines(config: RunConfig, weights: Weights, runner: Backend, precision: str, streams: int) -> list[EngineFile]:
    """TensorRT's engines as they lie there. Raises EgostreamError when there are none, or one does not fit.

    They take any batch: those that are fastest at another one are taken, too, the nearest first.
    """
    own = gpu_batch(streams)
    found = []
    for batch in sorted(
        (1 << n for n in range(gpu_batch(MAX_STREAMS).bit_length())), key=lambda batch: abs(batch.bit_length() - own.bit_length())
    ):
        folder = Path(config.engines) if config.engines else cached_engine_folder(weights, runner.runs, runner, precision, batch)
        found.append(engine_files(weights, runner.runs, runner, precision, batch, folder))
    files = next((files for files in found if files[0].path.exists()), found[0])
    if not config.engines and not files[0].path.exists():
        raise EgostreamError(
            f"these weights are not compiled in {precision} for it yet. Run once with --backend tensorrt, which takes a minute"
        )
    for file in files:
        check_engine(file.path, file.fields)
    return files


def gpu_batch(streams: int) -> int:
    """The batch that TensorRT's engines are fastest at: the largest of ``gpu.plan_sizes``."""
    return 1 << (streams - 1).bit_length()


def processor_engines(config: RunConfig, weights: Weights, backend: Backend, precision: str, streams: int, say) -> list[EngineFile]:
    """The engines of a processor in every batch size that these streams need: from the folder given, or the cache."""
    graphs = processor_graphs(config, weights)
    has = lambda graphs: all(file.path.exists() for file in engine_files(weights, graphs, backend, precision, 1, Path(config.engines)))
    if config.engines and config.motion == "auto" and not has(graphs) and has((STEP,)):
        say(f"{config.engines} has no engines for motion between poses: it is computed on every frame. {REBUILD}")
        graphs = (STEP,)
    files = []
    for batch in batch_sizes(streams):
        if not config.engines:
            files += ensure_engines(weights, graphs, backend, precision, batch, say)
            continue
        found = engine_files(weights, graphs, backend, precision, batch, Path(config.engines))
        if batch == 1 or all(file.path.exists() for file in found):  # without larger ones, the smaller serve as well, one after another
            for file in found:
                check_engine(file.path, file.fields)
            files += found
    return files


def processor_graphs(config: RunConfig, weights: Weights) -> tuple[str, ...]:
    """Which engines a processor runs, by where the motion is computed: with each frame's pose, or between poses.

    A network without either of its branches has nothing to gain, or nothing that would tell one frame's pose from the last.
    """
    motion = PRESETS[config.preset].motion if config.motion == "auto" else config.motion
    has_both = all(weights.network.get(branch, True) for branch in ("use_tokens", "use_motion"))
    if config.motion == "trained-step" and not has_both:
        raise EgostreamError(f"--motion trained-step: {weights.folder} has no heatmap or no motion branch. Leave it out")
    return (MOTION, POSE) if motion == "trained-step" and has_both else (STEP,)


def batch_sizes(streams: int) -> list[int]:
    """Batches that a processor's engines are compiled for: powers of two, of which any number of frames is made up.

    Not more than 4: every pose of a batch comes as late as its last, and a processor gains little (int8 on Zen 5: 4
    together take a tenth less than one after another, 8 no less).
    """
    return [size for size in (1, 2, 4) if size <= streams]


def choose_precision(config: RunConfig, weights: Weights, backend: Backend) -> str:
    """The precision asked for by name, or the preset's best that backend and weights have."""
    if config.precision != "auto":
        return check_precision(backend, config.precision)
    available, preset = available_precisions(weights, backend), PRESETS[config.preset]
    wanted = preset.gpu_precisions if backend.name == "tensorrt" else preset.precisions
    wanted = [precision for precision in wanted if precision != "int8" or backend.int8_pays]
    return next((precision for precision in wanted if precision in available), available[0])


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
