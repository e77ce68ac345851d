"""Backend, precision and engines of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from egostream.config import MAX_STREAMS, PRESETS, RunConfig
from egostream.engine.backends import backend, choose_backend, has_tensorrt
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
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH
from egostream.graph.weights import Weights


def choose_runner(config: RunConfig, weights: Weights, streams: int, say: Callable[[str], None]) -> tuple[Backend, str]:
    """Backend and precision. ``auto`` takes TensorRT where there is a GPU and its engines are compiled, and says why not."""
    if config.backend == "tensorrt" or (config.backend == "auto" and has_tensorrt()):
        try:
            find_gpu()  # before the library is imported, which takes long
            runner = backend("tensorrt")
            if config.motion == "trained-step":
                raise EgostreamError(
                    "--motion trained-step is for processors, a GPU has the time for every frame: leave it out"
                )
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


def prepare_engines(
    config: RunConfig, weights: Weights, runner: Backend, precision: str, streams: int, say
) -> list[EngineFile]:
    """The engines of a run, checked: from the folder given, or the cache, where missing ones are compiled."""
    if runner.name != "tensorrt":
        return processor_engines(config, weights, runner, precision, streams, say)
    try:
        return gpu_engines(config, weights, runner, precision, streams)
    except EgostreamError:
        if config.engines:
            raise
    return ensure_engines(weights, runner.runs, runner, precision, gpu_batch(streams), say)


def gpu_engines(config: RunConfig, weights: Weights, runner: Backend, precision: str, streams: int) -> list[EngineFile]:
    """TensorRT's engines as they lie there. Raises EgostreamError when there are none, or one does not fit.

    They take any batch: those that are fastest at another one are taken, too, the nearest first.
    """
    own = gpu_batch(streams)
    found = []
    for batch in sorted(
        (1 << n for n in range(gpu_batch(MAX_STREAMS).bit_length())),
        key=lambda batch: abs(batch.bit_length() - own.bit_length()),
    ):
        folder = (
            Path(config.engines)
            if config.engines
            else cached_engine_folder(weights, runner.runs, runner, precision, batch)
        )
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


def processor_engines(
    config: RunConfig, weights: Weights, backend: Backend, precision: str, streams: int, say
) -> list[EngineFile]:
    """The engines of a processor in every batch size that these streams need: from the folder given, or the cache."""
    graphs = processor_graphs(config, weights)
    has = lambda graphs: all(
        file.path.exists() for file in engine_files(weights, graphs, backend, precision, 1, Path(config.engines))
    )
    if config.engines and config.motion == "auto" and not has(graphs) and has((STEP_GRAPH,)):
        say(f"{config.engines} has no engines for motion between poses: it is computed on every frame. {REBUILD}")
        graphs = (STEP_GRAPH,)
    files = []
    for batch in batch_sizes(streams):
        if not config.engines:
            files += ensure_engines(weights, graphs, backend, precision, batch, say)
            continue
        found = engine_files(weights, graphs, backend, precision, batch, Path(config.engines))
        if batch == 1 or all(
            file.path.exists() for file in found
        ):  # without larger ones, the smaller serve as well, one after another
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
        raise EgostreamError(
            f"--motion trained-step: {weights.folder} has no heatmap or no motion branch. Leave it out"
        )
    return (MOTION_GRAPH, POSE_GRAPH) if motion == "trained-step" and has_both else (STEP_GRAPH,)


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
