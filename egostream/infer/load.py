"""Loading the estimator of a run: on a processor, by the engines that it is given, or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from egostream.calibration.view import CameraView
from egostream.engine.backends import GPU_BACKENDS, gpu_backend
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.contract import DeviceGraph, EngineFile
from egostream.engine.cuda import find_gpu
from egostream.engine.load import load_device_graph, load_engine
from egostream.errors import EgostreamError, GpuUnusable
from egostream.graph.ports import BODY_GRAPH, LOOK_GRAPH, MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH
from egostream.infer.batch import EnginesBySize
from egostream.infer.estimator import Estimator
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.from_body import BodyEstimator, Teller
from egostream.infer.look import LookOnGpu, LookOnProcessor
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.refine import Refiner, make_refiner
from egostream.infer.replayed import ReplayedEstimator
from egostream.infer.trained_step import TrainedStepEstimator
from egostream.record.schedule import Schedule
from egostream.run_setup import RunSetup


def load_estimator(
    setup: RunSetup,
    say: Callable[[str], None],
    beat: Callable[[], object],
    live_streams: Collection[int] = (),
    is_frame_waiting: Callable[[], bool] = lambda: False,
    tellers: Sequence[Teller] | None = None,
) -> Estimator:
    """Load the engines of a run, in the thread that will use them.

    beat: called now and then, since GPU kernels may compile for minutes. live_streams, is_frame_waiting: as
    ``TrainedStepEstimator`` takes them; tellers: as ``BodyEstimator`` does. Raises EgostreamError when an engine does
    not fit, and GpuUnusable where a GPU was chosen by itself: the run can go on without it.
    """
    views, refiners = views_and_refiners(setup)
    if setup.backend not in GPU_BACKENDS:
        threads = setup.config.threads
        return load_processor(
            setup.engines,
            setup.weights.step_ns,
            views,
            refiners,
            live_streams,
            is_frame_waiting,
            threads,
            schedules_of(setup),
            tellers,
        )
    try:
        return load_gpu(setup, views, refiners, say, beat, tellers)
    except EgostreamError as error:
        if setup.config.backend in GPU_BACKENDS:
            raise
        raise GpuUnusable(str(error)) from error


def load_processor(
    files: Iterable[EngineFile],
    step_ns: int,
    views: Sequence[CameraView],
    refiners: Sequence[Refiner],
    live_streams: Collection[int] = (),
    is_frame_waiting: Callable[[], bool] = lambda: False,
    threads: int = 0,
    schedules: Mapping[int, Schedule] | None = None,
    tellers: Sequence[Teller] | None = None,
) -> EveryFrameEstimator | TrainedStepEstimator | BodyEstimator:
    """An estimator on a processor, of whole steps, of poses and motion, or without a backbone, as the engines are.

    threads: of the processor; 0: the backend's choice. schedules: as ``ReplayedEstimator`` takes them, if any.
    tellers: as ``BodyEstimator`` takes them.
    """
    engines = load_engines(files, threads)
    if BODY_GRAPH in engines:
        looks = LookOnProcessor(engines[LOOK_GRAPH])
        return BodyEstimator(looks, engines[BODY_GRAPH], step_ns, views, refiners, tellers)
    if STEP_GRAPH in engines:
        return EveryFrameEstimator(engines[STEP_GRAPH], step_ns, views, refiners)
    split = engines[POSE_GRAPH], engines[MOTION_GRAPH], step_ns, views, refiners, live_streams, is_frame_waiting
    return ReplayedEstimator(*split, schedules=schedules) if schedules else TrainedStepEstimator(*split)


def load_engines(files: Iterable[EngineFile], threads: int) -> dict[str, EnginesBySize]:
    """A processor's engines by graph and batch size. Raises EgostreamError when one does not fit."""
    engines: dict[str, EnginesBySize] = {}
    for file in files:
        loaded = load_engine(file.path, file.fields, threads)
        engines.setdefault(file.fields["graph"], {})[file.fields["batch"]] = loaded
    return engines


def schedules_of(setup: RunSetup) -> dict[int, Schedule]:
    """The schedules of motion that streams of recordings keep to. Raises EgostreamError where one cannot be read."""
    recordings = {number: stream.recorded for number, stream in enumerate(setup.streams) if stream.recorded}
    if not recordings:
        return {}
    from egostream.record.reader import read_schedule  # needs the libraries of MCAP files

    return {number: read_schedule(*recording) for number, recording in recordings.items()}


def load_gpu(
    setup: RunSetup,
    views: Sequence[CameraView],
    refiners: Sequence[Refiner],
    say: Callable[[str], None],
    beat: Callable[[], object],
    tellers: Sequence[Teller] | None = None,
) -> GpuEstimator | BodyEstimator:
    """An estimator on the GPU; without a backbone, what follows from the keypoints runs on the processor beside it.

    Kernels compiled on the way are kept as they come: a start cut short goes on there.
    """
    cuda = find_gpu()
    cuda.open()
    runner = gpu_backend(setup.backend).aimed_here()  # as the supervisor aimed it, in a process of its own
    graphs: dict[str, DeviceGraph] = {}

    def keep() -> None:
        beat()
        try:
            for graph in graphs.values():
                graph.save_cache()
        except OSError as error:
            say(
                "the kernels compiled for this GPU cannot be kept, every start compiles them again: "
                f"{error.filename}: {error.strerror}"
            )

    beside = [file for file in setup.engines if file.fields["backend"] not in GPU_BACKENDS]
    for file in setup.engines:
        if file not in beside:
            graphs[file.fields["graph"]] = load_device_graph(file.path, file.fields, runner)
            beat()
    step_ns = setup.weights.step_ns
    if LOOK_GRAPH not in graphs:
        return GpuEstimator(cuda, graphs, step_ns, views, refiners, on_progress=keep)
    bodies = load_engines(beside, setup.config.threads)[BODY_GRAPH]
    looks = LookOnGpu(cuda, graphs[LOOK_GRAPH], gpu_batch_sizes(len(views)), keep)
    return BodyEstimator(looks, bodies, step_ns, views, refiners, tellers)


def views_and_refiners(setup: RunSetup) -> tuple[list[CameraView], list[Refiner]]:
    """A camera's view and a refiner for every stream."""
    views = [stream.view(setup.weights.input) for stream in setup.streams]
    return views, [make_refiner(stream.config, setup.weights) for stream in setup.streams]
