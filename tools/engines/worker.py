"""The GPU worker of a run, loaded for measuring."""

from __future__ import annotations

from collections.abc import Callable

from egostream.calibration.view import CameraView
from egostream.engine.backends import gpu_backend
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.build import ensure_engines
from egostream.engine.cuda import Cuda
from egostream.engine.load import load_device_graph
from egostream.graph.weights import Weights
from egostream.infer.on_gpu import GpuEstimator


def load_worker(
    cuda: Cuda,
    weights: Weights,
    precision: str,
    streams: int,
    say: Callable[[str], object],
    sizes: list[int] | None = None,
) -> GpuEstimator:
    """The worker of ``egostream run --backend tensorrt`` for that many streams; its engines are compiled when missing.

    cuda: opened by this thread. say: takes a line before anything is compiled. sizes: batch sizes to prepare; None:
    only the one that takes all streams at once. Raises EgostreamError when TensorRT or the GPU cannot be used.
    """
    runner = gpu_backend("tensorrt").aimed_here()
    largest = gpu_batch_sizes(streams)[-1]
    files = ensure_engines(weights, runner.runs, runner, precision, largest, say)
    graphs = {file.fields["graph"]: load_device_graph(file.path, file.fields, runner) for file in files}

    def save_caches() -> None:
        for graph in graphs.values():
            graph.save_cache()

    views = [CameraView(weights.input)] * streams
    return GpuEstimator(cuda, graphs, weights.step_ns, views, on_progress=save_caches, sizes=sizes or [largest])
