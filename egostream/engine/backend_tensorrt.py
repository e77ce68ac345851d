"""TensorRT: engines for NVIDIA GPUs, from either of two modules with one interface.

``tensorrt_rtx`` (TensorRT for RTX) compiles on machines without a GPU, for a range of GPUs at once; ``tensorrt`` compiles
for the GPU that is there. Both take the precision from the graph: see ``half`` and ``int8``. What they compile is the
``as_gpu_form`` form of each graph, which ``gpu`` runs.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from egostream.engine.contract import TENSORRT_MODULES
from egostream.engine.cuda import CudaError, find_gpu
from egostream.errors import EgostreamError
from egostream.files import cache_folder, replacing
from egostream.graph.gpu_form import MOST_ROWS, as_gpu_form
from egostream.graph.half_precision import in_half_precision
from egostream.graph.ports import GRAPHS, MAX_BATCH
from egostream.graph.simplify import with_norms_folded

#: --target -> compute capabilities, as TensorRT for RTX names them; empty: its portable default, Ampere and later.
TARGETS = {
    "ampere+": (),
    "sm75": ("SM75",),
    "sm80": ("SM80",),
    "sm86": ("SM86",),
    "sm89": ("SM89",),
    "sm120": ("SM120",),
    "current": ("CURRENT",),
}
DTYPES = {"UINT8": np.uint8, "FLOAT": np.float32, "BOOL": np.bool_, "INT32": np.int32}
TYPICAL_ROWS = 512  # of a stream's ring
BUILD = "python tools/build_engine.py --backend tensorrt"
MESSAGES = 3  # of the parser's, in one error


class TensorRTBackend:
    """Compiles graphs. ``module``, ``target`` and ``progress`` are the caller's to set before ``build``."""

    name = "tensorrt"
    install = "pip install tensorrt-rtx"
    suffix = ".engine"
    format = 1
    runs = GRAPHS
    unsigned_int8 = False
    int8_pays = False  # not measured

    def __init__(self):
        self.module, self.target = "", "ampere+"
        self.runtime, self.logger = None, None  # TensorRT's, once an engine was loaded
        self.progress: Callable[[str, int, int], bool] | None = None  # phase, step, steps -> False to stop

    def library(self):
        """The module asked for, else the first that is installed. Raises ImportError."""
        problem = None
        for name in (self.module,) if self.module else TENSORRT_MODULES:
            try:
                return importlib.import_module(name)
            except ImportError as error:
                problem = error
        raise problem

    def version(self):
        library = self.library()
        return f"{library.__name__} {library.__version__}"

    def device(self):
        """The target, or the GPU itself where an engine is for it alone."""
        return f"NVIDIA {gpu_name()}" if self.target == "current" else f"NVIDIA {self.target}"

    def aim_here(self) -> None:
        """Compile for the GPU of this machine, by a module that knows it. Raises CudaError when there is none."""
        name, capability = find_gpu().device()
        if not serves_capability(self.library(), capability):
            if self.module or not importlib.util.find_spec("tensorrt"):
                raise EgostreamError(
                    f"TensorRT for RTX does not run on {name} (compute capability {capability[0]}.{capability[1]}). Install the other: pip install tensorrt"
                )
            self.module = "tensorrt"
        turing = capability == (7, 5) and self.library().__name__ == "tensorrt_rtx"
        self.target = "sm75" if turing else "current"  # which for RTX begins at Ampere

    def serves(self, device):
        """Raises CudaError when there is no GPU."""
        target = device.removeprefix("NVIDIA ")
        capability = major, minor = find_gpu().device()[1]
        return {"ampere+": major >= 8 and serves_capability(self.library(), capability), f"sm{major}{minor}": True}.get(
            target, target == gpu_name()
        )

    def precisions(self):
        return ["fp16", "bf16", "int8", "fp32"]

    def graph(self, model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
        """The graph that is compiled: what int8 leaves in floating point is fp16."""
        model = with_norms_folded(model)
        return as_gpu_form(
            model if precision == "fp32" else in_half_precision(model, "fp16" if precision == "int8" else precision)
        )

    def build(self, model, precision, batch, path: Path):
        trt = self.library()
        logger = quiet_logger(trt)
        try:
            builder = trt.Builder(logger)
        except TypeError:  # its way to say no
            raise EgostreamError(
                f"{trt.__name__} cannot start: {logger.last or 'no GPU'}. Without a GPU use --module tensorrt_rtx"
            ) from None
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(self.graph(model, precision).SerializeToString()):
            errors = [parser.get_error(i) for i in range(min(parser.num_errors, MESSAGES))]
            problems = [f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors]
            raise EgostreamError(f"TensorRT does not take the graph: {'; '.join(problems) or logger.last}")
        config = builder.create_builder_config()
        self.aim(trt, config)
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 shall be fp32
        if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
            config.set_flag(
                trt.BuilderFlag.REQUIRE_USER_ALLOCATION
            )  # or its work could not be captured in a CUDA graph
        config.add_optimization_profile(batches(builder, network, batch))
        if self.progress:
            config.progress_monitor = monitor(trt, self.progress)
        with timings(trt, config):
            engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EgostreamError(f"TensorRT compiled nothing: {logger.last or 'stopped'}")
        path.write_bytes(engine)
        ports = (
            [network.get_input(i) for i in range(network.num_inputs)],
            [network.get_output(i) for i in range(network.num_outputs)],
        )
        return tuple({port.name: describe(port, batch) for port in side} for side in ports)

    def aim(self, trt, config) -> None:
        """Choose the GPUs that the engine is for."""
        capabilities = TARGETS[self.target]
        if trt.__name__ == "tensorrt":
            if capabilities not in ((), ("CURRENT",)):
                raise EgostreamError(
                    f"--target {self.target}: tensorrt compiles for the GPU that is there. Use --module tensorrt_rtx"
                )
            if not capabilities:
                config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
            return
        config.num_compute_capabilities = len(capabilities)
        for i, name in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), i)

    def load(self, path, manifest, threads):
        trt = self.library()
        if self.runtime is None:
            self.logger = quiet_logger(trt)
            try:
                self.runtime = trt.Runtime(self.logger)
            except TypeError:
                raise EgostreamError(
                    f"{trt.__name__} cannot start: {self.logger.last or 'the driver is too old for it'}"
                ) from None
        self.logger.last = ""
        engine = self.runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise EgostreamError(
                f"TensorRT cannot load {path}: {self.logger.last or 'it gave no reason'}. Rebuild it: {BUILD}"
            )
        return TensorRTGraph(trt, engine, manifest, path, self.logger)


class TensorRTGraph:
    """A loaded engine: what ``gpu.DeviceGraph`` promises."""

    def __init__(self, trt, engine, manifest, path: Path, logger):
        self.trt, self.engine, self.manifest, self.path, self.logger = trt, engine, manifest, path, logger
        self.config, self.cache, self.kept = None, None, b""
        if hasattr(engine, "create_runtime_config") and hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):
            self.config = engine.create_runtime_config()
            self.config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
            # kernels of the very shape, before it is captured: lazily they would come after
            self.config.dynamic_shapes_kernel_specialization_strategy = (
                trt.DynamicShapesKernelSpecializationStrategy.EAGER
            )
            self.cache = self.config.create_runtime_cache()
            self.load_cache()
            self.config.set_runtime_cache(self.cache)

    @property
    def cache_path(self) -> Path:
        return self.path.with_name(self.path.name + ".kernels")

    def load_cache(self) -> None:
        """Kernels that were compiled in an earlier run; TensorRT itself refuses those of another GPU, driver or version."""
        try:
            kept = self.cache_path.read_bytes()
        except OSError:
            return
        if self.cache.deserialize(kept):
            self.kept = kept

    def save_cache(self) -> None:
        """Keep the kernels that were compiled in this run. Raises OSError."""
        blob = self.cache.serialize() if self.cache else None  # None while nothing was compiled
        if blob is None or (compiled := bytes(blob)) == self.kept:
            return
        with replacing(self.cache_path) as draft:
            draft.write_bytes(compiled)
        self.kept = compiled

    def instance(self, shapes, addresses):
        return TensorRTInstance(self, shapes, addresses)


class TensorRTInstance:
    """An execution context, for one batch size."""

    def __init__(self, graph: TensorRTGraph, shapes: dict[str, tuple], addresses: dict[str, int]):
        strategy = graph.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.name, self.logger = graph.manifest.graph, graph.logger
        self.logger.last = ""
        self.context = graph.engine.create_execution_context(graph.config or strategy)
        if self.context is None:
            raise EgostreamError(
                f"TensorRT cannot prepare the {self.name} graph: {graph.logger.last or 'no reason given'}. Run fewer cameras?"
            )
        for name in graph.manifest.inputs:
            if not self.context.set_input_shape(name, shapes[name]):
                raise EgostreamError(
                    f"engine {graph.path} does not take {name} {shapes[name]}: beyond its profile. Rebuild it: {BUILD}"
                )
        for name in (*graph.manifest.inputs, *graph.manifest.outputs):
            self.context.set_tensor_address(name, addresses[name])
        self.scratch_bytes = self.context.update_device_memory_size_for_shapes()
        if not self.scratch_bytes and self.logger.last:  # 0 is also said of a graph that needs none
            raise EgostreamError(f"TensorRT cannot size the {self.name} graph: {self.logger.last}. Rebuild it: {BUILD}")

    def use_scratch(self, address, nbytes):
        self.context.set_device_memory(address, nbytes)

    def enqueue(self, stream):
        self.logger.last = ""
        if not self.context.execute_async_v3(stream):
            raise CudaError(f"TensorRT could not run the {self.name} graph: {self.logger.last or 'no reason given'}")


def serves_capability(trt, capability: tuple[int, int]) -> bool:
    """Whether the module is for such a GPU at all: that for RTX names those it is for, the data centre's are not among them."""
    return trt.__name__ == "tensorrt" or "SM{}{}".format(*capability) in trt.ComputeCapability.__members__


@contextlib.contextmanager
def timings(trt, config):
    """Lets the standard TensorRT go on from the kernels that it timed before: the next graph takes a fraction of the time.

    TensorRT for RTX times nothing while it compiles.
    """
    if trt.__name__ != "tensorrt":
        yield
        return
    path = cache_folder() / "tensorrt.timings"
    try:
        kept = path.read_bytes()
    except OSError:
        kept = b""
    cache = config.create_timing_cache(kept) or config.create_timing_cache(b"")  # damaged, or of another version: anew
    config.set_timing_cache(cache, False)
    yield
    with contextlib.suppress(OSError):  # it only saves time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(config.get_timing_cache().serialize())


def gpu_name() -> str:
    name, (major, minor) = find_gpu().device()
    return f"{name} sm{major}{minor}"


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
        lengths = (1, batch * TYPICAL_ROWS, MOST_ROWS) if port.name == "ring" else (1, batch, MAX_BATCH)
        profile.set_shape(port.name, *((length, *rest) for length in lengths))
    return profile


def describe(port, batch: int) -> list:
    """Type and shape of an input or output; a ring may have any number of rows."""
    return [np.dtype(DTYPES[port.dtype.name]).name, [-1 if port.name == "ring" else batch, *tuple(port.shape)[1:]]]


BACKEND = TensorRTBackend()
