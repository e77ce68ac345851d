"""TensorRT: engines for NVIDIA GPUs, from either of two modules with one interface.

``tensorrt_rtx`` (TensorRT for RTX) compiles on machines without a GPU, for a range of GPUs at once; ``tensorrt`` compiles
for the GPU that is there. Both take the precision from the graph: see ``half`` and ``int8``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from egostream.errors import EgostreamError
from egostream.fold import folded
from egostream.graphs import MAX_BATCH
from egostream.half import halved

MODULES = ("tensorrt_rtx", "tensorrt")
#: --target -> compute capabilities, as TensorRT for RTX names them; empty: its portable default, 8.0 and later.
TARGETS = {
    "ampere+": (),
    "sm75": ("SM75",),
    "sm80": ("SM80",),
    "sm86": ("SM86",),
    "sm89": ("SM89",),
    "sm120": ("SM120",),
    "current": ("CURRENT",),
}
DTYPES = {"UINT8": np.uint8, "FLOAT": np.float32, "BOOL": np.bool_}
MESSAGES = 3  # of the parser's, in one error


class TensorRTBackend:
    """Compiles graphs. ``module``, ``target`` and ``progress`` are the caller's to set before ``build``."""

    name = "tensorrt"
    install = "pip install tensorrt-rtx"
    suffix = ".engine"

    def __init__(self):
        self.module, self.target = "", "ampere+"
        self.progress: Callable[[str, int, int], bool] | None = None  # phase, step, steps -> False to stop

    def library(self):
        """The module asked for, else the first that is installed. Raises ImportError."""
        problem = None
        for name in (self.module,) if self.module else MODULES:
            try:
                return importlib.import_module(name)
            except ImportError as error:
                problem = error
        raise problem

    def version(self):
        library = self.library()
        return f"{library.__name__} {library.__version__}"

    def device(self):
        return f"NVIDIA {self.target}"

    def precisions(self):
        return ["fp16", "bf16", "int8", "fp32"]

    def graph(self, model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
        """The graph that is compiled: what int8 leaves in floating point is fp16."""
        model = folded(model)
        return model if precision == "fp32" else halved(model, "fp16" if precision == "int8" else precision)

    def build(self, model, precision, batch, path: Path):
        trt = self.library()
        logger = quiet_logger(trt)
        builder = trt.Builder(logger)
        if builder is None:
            raise EgostreamError(f"{trt.__name__} cannot start: {logger.last or 'no GPU'}. Without a GPU use --module tensorrt_rtx")
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(self.graph(model, precision).SerializeToString()):
            errors = [parser.get_error(i) for i in range(min(parser.num_errors, MESSAGES))]
            problems = [f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors]
            raise EgostreamError(f"TensorRT does not take the graph: {'; '.join(problems) or logger.last}")
        config = builder.create_builder_config()
        self.aim(trt, config)
        config.add_optimization_profile(batches(builder, network, batch))
        if self.progress:
            config.progress_monitor = monitor(trt, self.progress)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EgostreamError(f"TensorRT compiled nothing: {logger.last or 'stopped'}")
        path.write_bytes(engine)
        ports = [network.get_input(i) for i in range(network.num_inputs)], [network.get_output(i) for i in range(network.num_outputs)]
        return tuple({port.name: describe(port, batch) for port in side} for side in ports)

    def aim(self, trt, config) -> None:
        """Choose the GPUs that the engine is for."""
        capabilities = TARGETS[self.target]
        if trt.__name__ == "tensorrt":
            if capabilities not in ((), ("CURRENT",)):
                raise EgostreamError(f"--target {self.target}: tensorrt compiles for the GPU that is there. Use --module tensorrt_rtx")
            if not capabilities:
                config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
            return
        config.num_compute_capabilities = len(capabilities)
        for i, name in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), i)

    def load(self, path, manifest, threads):
        raise EgostreamError("TensorRT engines are compiled, but not yet run, by this egostream. Use --backend openvino")


def quiet_logger(trt):
    """A logger that keeps the last error instead of printing all."""

    class Quiet(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.last = ""

        def log(self, severity, message):
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last = message.strip().splitlines()[0]

    return Quiet()


def monitor(trt, progress: Callable[[str, int, int], bool]):
    """TensorRT's progress monitor that calls ``progress`` at every step."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self):
            trt.IProgressMonitor.__init__(self)
            self.steps = {}

        def phase_start(self, phase_name, parent_phase, num_steps):
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name, step):
            return progress(phase_name, step + 1, self.steps.get(phase_name, 0))

        def phase_finish(self, phase_name):
            self.steps.pop(phase_name, None)

    return Monitor()


def batches(builder, network, batch: int):
    """The optimisation profile: 1 to MAX_BATCH streams, fastest at ``batch``."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        port = network.get_input(i)
        rest = tuple(port.shape)[1:]
        profile.set_shape(port.name, (1, *rest), (batch, *rest), (MAX_BATCH, *rest))
    return profile


def describe(port, batch: int) -> list:
    return [np.dtype(DTYPES[port.dtype.name]).name, [batch, *tuple(port.shape)[1:]]]


BACKEND = TensorRTBackend()
