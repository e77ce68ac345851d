"""The GPU worker of a run, loaded for measuring."""

from __future__ import annotations

from collections.abc import Callable

from egostream.calibration.view import CameraView
from egostream.engine.backends import backend
from egostream.engine.build import ensure_engines
from egostream.engine.cuda import Cuda
from egostream.engine.load import load_engine
from egostream.graph.weights import Weights
from egostream.infer.on_gpu import GpuEstimator, plan_sizes


def load_worker(
    cuda: Cuda,
    weights: Weights,
    precision: str,
    streams: int,
    say: Callable[[str], object],
    sizes: list[int] | None = None,
) -> GpuEstimator:
    """The worker of ``egostream run --backend tensorrt``, for that many streams; by default only with the batch of them all."""
    runner = backend("tensorrt")
    runner.aim_here()
    files = ensure_engines(weights, runner.runs, runner, precision, plan_sizes(streams)[-1], say)
    graphs = {file.fields["graph"]: load_engine(file.path, file.fields, 0)[0] for file in files}
    keep = lambda: [graph.save_cache() for graph in graphs.values()]
    sizes = sizes or plan_sizes(streams)[-1:]
    return GpuEstimator(
        cuda, graphs, weights.step_ns, [CameraView(weights.input)] * streams, on_progress=keep, sizes=sizes
    )
