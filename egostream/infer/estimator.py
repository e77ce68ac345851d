"""The estimator of a run: on a processor, or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from egostream.calibration.view import CameraView
from egostream.engine.contract import DeviceGraph, EngineFile
from egostream.engine.cuda import find_gpu
from egostream.engine.load import load_device_graph, load_engine
from egostream.errors import EgostreamError
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.refine import Refiner, make_refiner
from egostream.infer.trained_step import TrainedStepEstimator
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import on_processor


def load_estimator(
    setup: RunSetup,
    say: Callable[[str], None],
    beat: Callable[[], object],
    live_streams: Collection[int] = (),
    busy: Callable[[], bool] = lambda: False,
) -> EveryFrameEstimator | TrainedStepEstimator | GpuEstimator:
    """Load the engines of a run, in the thread that will use them. Raises EgostreamError when one does not fit.

    A GPU that cannot be used after all (its memory is full, the driver too old) is left to those who asked for it by name.
    beat: called now and then. live_streams, busy: as ``TrainedStepEstimator`` takes them.
    """
    if setup.backend == "tensorrt":
        try:
            return load_gpu(setup, say, beat)
        except EgostreamError as error:
            if setup.config.backend == "tensorrt":
                raise
            say(f"the GPU is not used: {error}")
            setup = on_processor(setup, say)
    return load_processor(
        setup.engines, setup.weights.step_ns, *views_and_refiners(setup), live_streams, busy, setup.config.threads
    )


def load_processor(
    files: Iterable[EngineFile],
    step_ns: int,
    views: list[CameraView],
    refiners: list[Refiner],
    live_streams: Collection[int] = (),
    busy: Callable[[], bool] = lambda: False,
    threads: int = 0,
) -> EveryFrameEstimator | TrainedStepEstimator:
    """On a processor, whichever engines it is given."""
    engines: dict[str, dict] = {}
    for file in files:
        engines.setdefault(file.fields["graph"], {})[file.fields["batch"]] = load_engine(
            file.path, file.fields, threads
        )
    if STEP_GRAPH in engines:
        return EveryFrameEstimator(engines[STEP_GRAPH], step_ns, views, refiners)
    return TrainedStepEstimator(
        engines[POSE_GRAPH], engines[MOTION_GRAPH], step_ns, views, refiners, live_streams, busy
    )


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
            say(
                f"the kernels compiled for this GPU cannot be kept, every start compiles them again: {error.filename}: {error.strerror}"
            )

    for file in setup.engines:
        graphs[file.fields["graph"]] = load_device_graph(file.path, file.fields)
        beat()
    return GpuEstimator(cuda, graphs, setup.weights.step_ns, *views_and_refiners(setup), on_progress=keep)


def views_and_refiners(setup: RunSetup) -> tuple[list[CameraView], list[Refiner]]:
    """One of each for every stream."""
    views = [CameraView(setup.weights.input, stream.camera) for stream in setup.streams]
    return views, [make_refiner(stream.config, setup.weights) for stream in setup.streams]
