"""A run's estimator on a GPU, loaded for measuring."""

from __future__ import annotations

from collections.abc import Callable

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine.backends import gpu_backend
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.build import ensure_engines
from egostream.engine.choose import engines_beside_gpu, gpu_graphs
from egostream.engine.cuda import Cuda
from egostream.engine.load import load_device_graph
from egostream.graph.ports import BODY_GRAPH, LOOK_GRAPH
from egostream.graph.weights import Weights
from egostream.infer.from_body import BodyEstimator
from egostream.infer.gpu_plans import GpuPlans
from egostream.infer.load import load_engines
from egostream.infer.look import LookOnGpu
from egostream.infer.on_gpu import GpuEstimator


def load_worker(
    cuda: Cuda,
    weights: Weights,
    precision: str,
    streams: int,
    say: Callable[[str], object],
    sizes: list[int] | None = None,
) -> GpuEstimator | BodyEstimator:
    """The estimator of ``egostream run --backend tensorrt`` for that many streams; engines are compiled when missing.

    cuda: opened by this thread. say: takes a line before anything is compiled. sizes: batch sizes to prepare; None:
    only the one that takes all streams at once. Raises EgostreamError when TensorRT or the GPU cannot be used.
    """
    runner = gpu_backend("tensorrt").aimed_here()
    largest = gpu_batch_sizes(streams)[-1]
    files = ensure_engines(weights, gpu_graphs(weights, runner), runner, precision, largest, say)
    graphs = {file.fields["graph"]: load_device_graph(file.path, file.fields, runner) for file in files}

    def save_caches() -> None:
        for graph in graphs.values():
            graph.save_cache()

    views, sizes = [CameraView(weights.input)] * streams, sizes or [largest]
    if LOOK_GRAPH not in graphs:
        return GpuEstimator(cuda, graphs, weights.step_ns, views, on_progress=save_caches, sizes=sizes)
    beside = load_engines(engines_beside_gpu(RunConfig(), weights, streams, say), threads=0)
    looks = LookOnGpu(cuda, graphs[LOOK_GRAPH], sizes, save_caches)
    return BodyEstimator(looks, beside[BODY_GRAPH], weights.step_ns, views)


def plans_of(worker: GpuEstimator | BodyEstimator) -> GpuPlans:
    """What an estimator of ``load_worker`` runs on the GPU."""
    if isinstance(worker, GpuEstimator):
        return worker.gpu
    assert isinstance(worker.looks, LookOnGpu)
    return worker.looks.gpu
