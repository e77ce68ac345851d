"""The estimator of a run: on a processor, or on a GPU."""

from __future__ import annotations

from collections.abc import Callable

from egostream.cuda import find_gpu
from egostream.engine import load_engine
from egostream.gpu import GpuEstimator
from egostream.pose import PoseEstimator
from egostream.rectify import Rectifier
from egostream.setup import RunSetup
from egostream.smooth import make_filter


def load_estimator(setup: RunSetup, say: Callable[[str], None]) -> PoseEstimator | GpuEstimator:
    """Load the engines of a run, in the thread that will use them. Raises EgostreamError when one does not fit."""
    rectifiers = [Rectifier(setup.weights.input, stream.camera) for stream in setup.streams]
    filters = [make_filter(setup.config) for _ in setup.streams]
    if setup.backend == "tensorrt":
        return load_gpu(setup, rectifiers, filters, say)
    engines = {file.fields["batch"]: load_engine(file.path, file.fields, setup.config.threads) for file in setup.engines}
    return PoseEstimator(engines, setup.weights.step_ns, rectifiers, filters)


def load_gpu(setup: RunSetup, rectifiers: list[Rectifier], filters: list, say: Callable[[str], None]) -> GpuEstimator:
    cuda = find_gpu()
    cuda.open()
    graphs = {file.fields["graph"]: load_engine(file.path, file.fields, threads=0)[0] for file in setup.engines}
    estimator = GpuEstimator(cuda, graphs, setup.weights.step_ns, rectifiers, filters)
    try:
        estimator.save_caches()
    except OSError as error:
        say(f"the kernels compiled for this GPU cannot be kept, every start compiles them again: {error.filename}: {error.strerror}")
    return estimator
