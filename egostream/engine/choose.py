"""Backend, precision and engines of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from egostream.config import PRESETS, RunConfig
from egostream.engine.backends import GPU_BACKENDS, choose_backend, gpu_backend, has_tensorrt
from egostream.engine.batch_sizes import gpu_batch_sizes, nearest_batch_sizes, processor_batch_sizes
from egostream.engine.build import (
    available_precisions,
    cached_engine_folder,
    check_precision,
    engine_files,
    ensure_engines,
)
from egostream.engine.contract import Backend, EngineFile
from egostream.engine.cuda import find_gpu
from egostream.engine.load import REBUILD, check_engine
from egostream.errors import EgostreamError
from egostream.graph.ports import BODY_FORM, BODY_GRAPH, LOOK_GRAPH, MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH
from egostream.graph.weights import Weights


def choose_runner(
    config: RunConfig, weights: Weights, stream_count: int, say: Callable[[str], object]
) -> tuple[Backend, str]:
    """Backend and precision of a run.

    ``auto`` takes TensorRT where there is a GPU and its engines are compiled; otherwise it says why not and takes a
    processor's backend. Raises EgostreamError when what was asked for by name cannot be had.
    """
    if config.backend in GPU_BACKENDS or (config.backend == "auto" and has_tensorrt()):
        try:
            return choose_gpu(config, weights, stream_count)
        except EgostreamError as error:
            if config.backend in GPU_BACKENDS:
                raise
            say(f"TensorRT is installed, but not used: {error}")
    runner = choose_backend(config.backend)
    return runner, choose_precision(config, weights, runner)


def choose_gpu(config: RunConfig, weights: Weights, stream_count: int) -> tuple[Backend, str]:
    """TensorRT, aimed at the GPU of this machine, and the precision. Raises EgostreamError: what speaks against it."""
    find_gpu()  # before the library is imported, which takes long
    runner = gpu_backend("tensorrt")
    if config.motion == "trained-step":
        raise EgostreamError(
            "--motion trained-step is for processors, a GPU has the time for every frame: leave it out"
        )
    runner = runner.aimed_here()
    precision = choose_precision(config, weights, runner)
    if config.backend == "auto":
        gpu_engines(config, weights, runner, precision, stream_count)
    return runner, precision


def prepare_engines(
    config: RunConfig,
    weights: Weights,
    runner: Backend,
    precision: str,
    stream_count: int,
    say: Callable[[str], object],
) -> list[EngineFile]:
    """The engines of a run, checked: from the folder given, or the cache, where missing ones are compiled.

    Raises EgostreamError when the folder given lacks an engine or one of its engines does not fit.
    """
    if not runner.is_gpu:
        return processor_engines(config, weights, runner, precision, stream_count, say)
    try:
        files = gpu_engines(config, weights, runner, precision, stream_count)
    except EgostreamError:
        if config.engines:
            raise
        graphs, size = gpu_graphs(weights, runner), gpu_batch_sizes(stream_count)[-1]
        files = ensure_engines(weights, graphs, runner, precision, size, say)
    return [*files, *engines_beside_gpu(config, weights, stream_count, say)]


def gpu_graphs(weights: Weights, runner: Backend) -> tuple[str, ...]:
    """Which engines a GPU runs: the four graphs, or ``look`` of a network without a backbone."""
    return (LOOK_GRAPH,) if weights.form == BODY_FORM else runner.runs


def gpu_engines(
    config: RunConfig, weights: Weights, runner: Backend, precision: str, stream_count: int
) -> list[EngineFile]:
    """A GPU's engines, as they lie in the folder given or the cache. Nothing is compiled.

    The engines take any batch size: those that are fastest at another one are taken, too, the nearest first.
    Raises EgostreamError when there are none, or one does not fit.
    """
    graphs = gpu_graphs(weights, runner)
    candidates = [
        engine_files(weights, graphs, runner, precision, size, engine_folder(config, weights, runner, precision, size))
        for size in nearest_batch_sizes(gpu_batch_sizes(stream_count)[-1])
    ]
    files = next((files for files in candidates if files[0].path.exists()), candidates[0])
    if not config.engines and not files[0].path.exists():
        raise EgostreamError(
            f"these weights are not compiled in {precision} for it yet. "
            "Run once with --backend tensorrt, which takes a minute"
        )
    check_engines(files, runner)
    return files


def engine_folder(config: RunConfig, weights: Weights, runner: Backend, precision: str, batch_size: int) -> Path:
    """Where a run looks for a GPU's engines: the folder that ``--engines`` names, else its place in the cache."""
    if config.engines:
        return Path(config.engines)
    return cached_engine_folder(weights, gpu_graphs(weights, runner), runner, precision, batch_size)


def engines_beside_gpu(
    config: RunConfig, weights: Weights, stream_count: int, say: Callable[[str], object]
) -> list[EngineFile]:
    """The engines that a processor runs beside a GPU, checked: ``body`` of a network without a backbone, else none.

    They come from the folder given. It may be for another machine's processor as well: where it has none that fit, they
    come from the cache, and it is said. They compile in a second. Raises EgostreamError when they cannot.
    """
    if weights.form != BODY_FORM:
        return []
    runner, precision = choose_backend("auto"), "fp32"
    if config.engines:
        try:
            return engines_in(Path(config.engines), weights, (BODY_GRAPH,), runner, precision, stream_count)
        except EgostreamError as error:
            say(f"the {BODY_GRAPH} engine, which the processor runs, comes from the cache: {error}")
    return cached_engines(weights, (BODY_GRAPH,), runner, precision, stream_count, say)


def processor_engines(
    config: RunConfig,
    weights: Weights,
    runner: Backend,
    precision: str,
    stream_count: int,
    say: Callable[[str], object],
) -> list[EngineFile]:
    """The engines of a processor in every batch size that these streams need, checked.

    They come from the folder given, or else from the cache, where missing ones are compiled. Raises EgostreamError when
    an engine of the folder given is missing or does not fit.
    """
    graphs = processor_graphs(config, weights)
    if not config.engines:
        return cached_engines(weights, graphs, runner, precision, stream_count, say)
    folder = Path(config.engines)
    if config.motion == "auto" and lacks_split_engines(weights, graphs, runner, precision, folder):
        say(f"{config.engines} has no engines for motion between poses: it is computed on every frame. {REBUILD}")
        graphs = (STEP_GRAPH,)
    return engines_in(folder, weights, graphs, runner, precision, stream_count)


def cached_engines(
    weights: Weights,
    graphs: tuple[str, ...],
    runner: Backend,
    precision: str,
    stream_count: int,
    say: Callable[[str], object],
) -> list[EngineFile]:
    """A processor's engines from the cache, in every batch size; missing ones are compiled. Raises EgostreamError."""
    return [
        file
        for size in processor_batch_sizes(stream_count)
        for file in ensure_engines(weights, graphs, runner, precision, size, say)
    ]


def engines_in(
    folder: Path, weights: Weights, graphs: tuple[str, ...], runner: Backend, precision: str, stream_count: int
) -> list[EngineFile]:
    """A processor's engines from a folder, checked, in those batch sizes that it has; 1 must be among them.

    Raises EgostreamError.
    """
    files = []
    for size in processor_batch_sizes(stream_count):
        found = engine_files(weights, graphs, runner, precision, size, folder)
        if size == 1 or all_exist(found):  # without larger ones, the smaller serve as well, one after another
            check_engines(found, runner)
            files += found
    return files


def lacks_split_engines(
    weights: Weights, graphs: tuple[str, ...], runner: Backend, precision: str, folder: Path
) -> bool:
    """Whether a folder has the ``step`` engine of batch size 1, but not all engines of ``graphs``."""

    def has(names: tuple[str, ...]) -> bool:
        return all_exist(engine_files(weights, names, runner, precision, 1, folder))

    return not has(graphs) and has((STEP_GRAPH,))


def all_exist(files: Iterable[EngineFile]) -> bool:
    """Whether every engine file is there; what it holds is not looked at."""
    return all(file.path.exists() for file in files)


def check_engines(files: Iterable[EngineFile], runner: Backend) -> None:
    """Raise EgostreamError unless every engine is what its run wants."""
    for file in files:
        check_engine(file.path, file.fields, runner)


def processor_graphs(config: RunConfig, weights: Weights) -> tuple[str, ...]:
    """Which engines a processor runs: ``step``, or ``motion`` and ``pose`` where motion is computed between poses.

    A network that lacks its heatmap or its motion branch runs ``step``. Without heatmap tokens, nothing would tell one
    frame's pose from the last; without motion, there is nothing to compute between poses. Raises EgostreamError when
    such a network is asked for ``--motion trained-step``. A network without a backbone runs ``look`` and ``body``.
    """
    if weights.form == BODY_FORM:
        if config.motion == "trained-step":
            raise EgostreamError(
                f"--motion trained-step: {weights.folder} has no backbone: its motion is of every frame. Leave it out"
            )
        return LOOK_GRAPH, BODY_GRAPH
    motion = PRESETS[config.preset].motion if config.motion == "auto" else config.motion
    has_both = all(weights.network.get(branch, True) for branch in ("use_tokens", "use_motion"))
    if config.motion == "trained-step" and not has_both:
        raise EgostreamError(
            f"--motion trained-step: {weights.folder} has no heatmap or no motion branch. Leave it out"
        )
    return (MOTION_GRAPH, POSE_GRAPH) if motion == "trained-step" and has_both else (STEP_GRAPH,)


def choose_precision(config: RunConfig, weights: Weights, runner: Backend) -> str:
    """The precision asked for by name, or the first of the preset's that backend and weights have.

    Raises EgostreamError when the backend cannot run the one asked for.
    """
    if config.precision != "auto":
        return check_precision(runner, config.precision)
    available, preset = available_precisions(weights, runner), PRESETS[config.preset]
    preferred = preset.gpu_precisions if runner.is_gpu else preset.precisions
    worthwhile = [precision for precision in preferred if precision != "int8" or runner.int8_pays]
    return next((precision for precision in worthwhile if precision in available), available[0])
