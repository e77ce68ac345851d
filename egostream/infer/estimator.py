"""The estimator of a run: on a processor, or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from egostream.capture.rectify import Rectifier
from egostream.engine.contract import DeviceGraph, EngineFile
from egostream.engine.cuda import find_gpu
from egostream.engine.load import load_engine
from egostream.errors import EgostreamError
from egostream.graph.ports import MOTION, POSE, STEP
from egostream.infer.every_frame import PoseEstimator
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.refine import Finish, make_finish
from egostream.infer.trained_step import AheadEstimator
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import on_processor


def load_estimator(
    setup: RunSetup,
    say: Callable[[str], None],
    beat: Callable[[], object],
    hurried: Collection[int] = (),
    busy: Callable[[], bool] = lambda: False,
) -> PoseEstimator | AheadEstimator | GpuEstimator:
    """Load the engines of a run, in the thread that will use them. Raises EgostreamError when one does not fit.

    A GPU that cannot be used after all (its memory is full, the driver too old) is left to those who asked for it by name.
    beat: called now and then. hurried, busy: as ``AheadEstimator`` takes them.
    """
    if setup.backend == "tensorrt":
        try:
            return load_gpu(setup, say, beat)
        except EgostreamError as error:
            if setup.config.backend == "tensorrt":
                raise
            say(f"the GPU is not used: {error}")
            setup = on_processor(setup, say)
    return load_processor(setup.engines, setup.weights.step_ns, *lenses_and_finishes(setup), hurried, busy, setup.config.threads)


def load_processor(
    files: Iterable[EngineFile],
    step_ns: int,
    rectifiers: list[Rectifier],
    finishes: list[Finish],
    hurried: Collection[int] = (),
    busy: Callable[[], bool] = lambda: False,
    threads: int = 0,
) -> PoseEstimator | AheadEstimator:
    """On a processor, whichever engines it is given."""
    engines: dict[str, dict] = {}
    for file in files:
        engines.setdefault(file.fields["graph"], {})[file.fields["batch"]] = load_engine(file.path, file.fields, threads)
    if STEP in engines:
        return PoseEstimator(engines[STEP], step_ns, rectifiers, finishes)
    return AheadEstimator(engines[POSE], engines[MOTION], step_ns, rectifiers, finishes, hurried, busy)


def load_gpu(setup: RunSetup, say: Callable[[str], None], beat: Callable[[], object]) -> GpuEstimator:
    """Kernels that are compiled on the way are kept as they come: a start that is cut short goes on there."""
    cuda = find_gpu()
    cuda.open()
    graphs: dict[str, DeviceGraph] = {}

    def keep() -> None:
        beat()
        try:
            for graph in graphs.values():
                graph.save_cache()
        except OSError as error:
            say(f"the kernels compiled for this GPU cannot be kept, every start compiles them again: {error.filename}: {error.strerror}")

    for file in setup.engines:
        graphs[file.fields["graph"]] = load_engine(file.path, file.fields, threads=0)[0]
        beat()
    return GpuEstimator(cuda, graphs, setup.weights.step_ns, *lenses_and_finishes(setup), on_progress=keep)


def lenses_and_finishes(setup: RunSetup) -> tuple[list[Rectifier], list[Finish]]:
    """One of each for every stream."""
    rectifiers = [Rectifier(setup.weights.input, stream.camera) for stream in setup.streams]
    return rectifiers, [make_finish(stream.config, setup.weights) for stream in setup.streams]
