"""TensorRT: engines for NVIDIA GPUs, from either of two modules with one interface.

``tensorrt_rtx`` (TensorRT for RTX) compiles on machines without a GPU, for a range of GPUs at once; ``tensorrt``
compiles for the GPU that is there. Both take the precision from the graph: see ``half_precision`` and ``int8``. What
they compile is the ``as_gpu_form`` form of each graph, which ``infer.on_gpu`` runs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx

from egostream.engine.contract import TENSORRT_MODULES, EngineManifest, Ports, Progress
from egostream.engine.cuda import CudaError, find_gpu
from egostream.errors import EgostreamError
from egostream.files import cache_folder, replacing
from egostream.graph.gpu_form import MOST_ROWS, as_gpu_form
from egostream.graph.half_precision import in_half_precision
from egostream.graph.ports import GRAPHS, MAX_BATCH
from egostream.graph.simplify import with_norms_folded

#: --target -> compute capabilities, as TensorRT for RTX names them; empty: its portable default, Ampere and later.
TARGETS: dict[str, tuple[str, ...]] = {
    "ampere+": (),
    "sm75": ("SM75",),
    "sm80": ("SM80",),
    "sm86": ("SM86",),
    "sm89": ("SM89",),
    "sm120": ("SM120",),
    "current": ("CURRENT",),
}
DTYPES = {"UINT8": np.uint8, "FLOAT": np.float32, "BOOL": np.bool_, "INT32": np.int32}
#: Rows of one stream's ring that engines are fastest at: 64 frames 1/30 s apart, of a camera with 240 frames a second.
#: Chosen by hand; not measured.
TYPICAL_ROWS = 512
REBUILD = "Rebuild it: python tools/build_engine.py --backend tensorrt"
SHOWN_ERRORS = 3  # of the parser's, in one error of ours: more would bury the first


@dataclass(frozen=True)
class TensorRTBackend:
    """The ``GpuBackend`` of TensorRT: a module, the GPUs that it compiles for, and who is told of the progress."""

    module: str = ""  # empty: the first of TENSORRT_MODULES that is installed
    target: str = "ampere+"  # a key of TARGETS
    progress: Progress | None = None  # None: nobody is told

    # without annotations, these are no fields of the dataclass
    name = "tensorrt"
    install = "pip install tensorrt-rtx"
    is_gpu = True
    suffix = ".engine"
    format = 1
    runs = GRAPHS
    unsigned_int8 = False  # it has no unsigned type for quantised values
    int8_pays = False  # not measured

    def library(self) -> ModuleType:
        """The module asked for, else the first that is installed. Raises ImportError."""
        problem = ImportError("no module of TensorRT is known")
        for name in (self.module,) if self.module else TENSORRT_MODULES:
            try:
                return importlib.import_module(name)
            except ImportError as error:
                problem = error
        raise problem

    def version(self) -> str:
        """Name and version of the module. Raises ImportError when it is not installed."""
        library = self.library()
        return f"{library.__name__} {library.__version__}"

    def device(self) -> str:
        """The target, or the GPU itself where an engine is for it alone. Raises CudaError when that is not there."""
        return f"NVIDIA {gpu_name()}" if self.target == "current" else f"NVIDIA {self.target}"

    def aimed_here(self) -> TensorRTBackend:
        """A backend that compiles for the GPU of this machine, by a module that knows it.

        Raises CudaError when there is no GPU, EgostreamError when the module asked for does not serve it.
        """
        aimed = self
        name, capability = find_gpu().device()
        if not serves_capability(self.library(), capability):
            if self.module or not importlib.util.find_spec("tensorrt"):
                raise EgostreamError(
                    f"TensorRT for RTX does not run on {name} (compute capability {capability[0]}.{capability[1]}). "
                    "Install the other: pip install tensorrt"
                )
            aimed = replace(self, module="tensorrt")
        is_turing = capability == (7, 5) and aimed.library().__name__ == "tensorrt_rtx"
        return replace(aimed, target="sm75" if is_turing else "current")  # "current" begins at Ampere for RTX

    def serves(self, device: str) -> bool:
        """Whether an engine compiled for ``device`` can run here. Raises CudaError when there is no GPU."""
        target = device.removeprefix("NVIDIA ")
        capability = major, minor = find_gpu().device()[1]
        if target == "ampere+":
            return major >= 8 and serves_capability(self.library(), capability)
        return target in (f"sm{major}{minor}", gpu_name())

    def precisions(self) -> list[str]:
        """Precisions that it compiles, best default first."""
        return ["fp16", "bf16", "int8", "fp32"]

    def graph(self, model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
        """The graph that is compiled, in the form for GPUs. What int8 leaves in floating point is fp16."""
        model = with_norms_folded(model)
        if precision != "fp32":
            model = in_half_precision(model, "fp16" if precision == "int8" else precision)
        return as_gpu_form(model)

    def build(self, model: onnx.ModelProto, precision: str, batch_size: int, path: Path) -> tuple[Ports, Ports]:
        """Compile a graph to the file ``path``, fastest at ``batch_size``. Returns inputs and outputs of the manifest.

        Raises EgostreamError when TensorRT refuses the graph or the target.
        """
        trt = self.library()
        logger = quiet_logger(trt)
        try:
            builder = trt.Builder(logger)
        except TypeError:  # its way to say no
            raise EgostreamError(
                f"{trt.__name__} cannot start: {logger.last or 'no GPU'}. Without a GPU: "
                "python tools/build_engine.py --backend tensorrt --module tensorrt_rtx"
            ) from None
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)  # it owns the weights, and so has to live until all is compiled
        if not parser.parse(self.graph(model, precision).SerializeToString()):
            errors = [parser.get_error(i) for i in range(min(parser.num_errors, SHOWN_ERRORS))]
            problems = [f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors]
            raise EgostreamError(f"TensorRT does not take the graph: {'; '.join(problems) or logger.last}")
        config = self.compiler_settings(trt, builder, network, batch_size)
        with timings(trt, config):
            engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EgostreamError(f"TensorRT compiled nothing: {logger.last or 'stopped'}")
        path.write_bytes(engine)
        inputs = [network.get_input(i) for i in range(network.num_inputs)]
        outputs = [network.get_output(i) for i in range(network.num_outputs)]
        return describe(inputs, batch_size), describe(outputs, batch_size)

    def compiler_settings(self, trt: Any, builder: Any, network: Any, batch_size: int) -> Any:
        """TensorRT's builder configuration: target, precision, shapes and progress. Raises EgostreamError."""
        config = builder.create_builder_config()
        self.aim(trt, config)
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 shall be fp32
        if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
            # or its work could not be captured in a CUDA graph
            config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
        config.add_optimization_profile(shape_range(builder, network, batch_size))
        if self.progress:
            config.progress_monitor = monitor(trt, self.progress)
        return config

    def aim(self, trt: Any, config: Any) -> None:
        """Tell the compiler the GPUs of ``target``. Raises EgostreamError when the module cannot compile for them."""
        capabilities = TARGETS[self.target]
        if trt.__name__ == "tensorrt":
            if capabilities not in ((), ("CURRENT",)):
                raise EgostreamError(
                    f"target {self.target}: tensorrt compiles for the GPU that is there. "
                    "Use another: python tools/build_engine.py --backend tensorrt --module tensorrt_rtx"
                )
            if not capabilities:
                config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
            return
        config.num_compute_capabilities = len(capabilities)
        for i, name in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), i)

    def load(self, path: Path, manifest: EngineManifest) -> TensorRTGraph:
        """Load an engine whose manifest was checked. Raises EgostreamError when TensorRT refuses it."""
        trt = self.library()
        runtime, logger = runtime_of(trt)
        logger.last = ""
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise EgostreamError(f"TensorRT cannot load {path}: {logger.last or 'it gave no reason'}. {REBUILD}")
        return TensorRTGraph(trt, engine, manifest, path, logger)


@functools.cache
def runtime_of(trt: ModuleType) -> tuple[Any, Any]:
    """TensorRT's runtime and its logger, one for all engines of a process. Raises EgostreamError if it cannot start."""
    logger = quiet_logger(trt)
    try:
        return trt.Runtime(logger), logger
    except TypeError:  # its way to say no
        raise EgostreamError(f"{trt.__name__} cannot start: {logger.last or 'the driver is too old for it'}") from None


class TensorRTGraph:
    """A loaded engine: the ``DeviceGraph`` of TensorRT."""

    def __init__(self, trt: Any, engine: Any, manifest: EngineManifest, path: Path, logger: Any):
        """trt: the module. engine, logger: its objects. path: the engine file; compiled kernels are kept beside it."""
        self.trt, self.engine, self.manifest, self.path, self.logger = trt, engine, manifest, path, logger
        self.config: Any = None
        self.cache: Any = None
        self.kept = b""  # the kernels that the file beside the engine holds
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
        """File of the kernels that were compiled for this engine on this GPU."""
        return self.path.with_name(self.path.name + ".kernels")

    def load_cache(self) -> None:
        """Take the kernels of an earlier run. TensorRT itself refuses those of another GPU, driver or version."""
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

    def instance(self, shapes: dict[str, tuple], addresses: dict[str, int]) -> TensorRTInstance:
        """An execution context for these shapes of inputs, with inputs and outputs at these addresses.

        Raises EgostreamError when a shape is beyond the engine's profile or the GPU has no room for it.
        """
        return TensorRTInstance(self, shapes, addresses)


class TensorRTInstance:
    """An execution context for one batch size: the ``DeviceGraphInstance`` of TensorRT."""

    def __init__(self, graph: TensorRTGraph, shapes: dict[str, tuple], addresses: dict[str, int]):
        strategy = graph.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.name, self.logger = graph.manifest.graph, graph.logger
        self.logger.last = ""
        self.context = graph.engine.create_execution_context(graph.config or strategy)
        if self.context is None:
            raise EgostreamError(
                f"TensorRT cannot prepare the {self.name} graph: {graph.logger.last or 'no reason given'}. "
                "Run fewer cameras?"
            )
        for name in graph.manifest.inputs:
            if not self.context.set_input_shape(name, shapes[name]):
                raise EgostreamError(
                    f"engine {graph.path} does not take {name} {shapes[name]}: beyond its profile. {REBUILD}"
                )
        for name in (*graph.manifest.inputs, *graph.manifest.outputs):
            self.context.set_tensor_address(name, addresses[name])
        self.scratch_bytes = self.context.update_device_memory_size_for_shapes()
        if not self.scratch_bytes and self.logger.last:  # 0 is also said of a graph that needs none
            raise EgostreamError(f"TensorRT cannot size the {self.name} graph: {self.logger.last}. {REBUILD}")

    def use_scratch(self, address: int, nbytes: int) -> None:
        """Keep intermediate values at this address on the device."""
        self.context.set_device_memory(address, nbytes)

    def enqueue(self, stream: int) -> None:
        """Put one run on a CUDA stream, given by its handle. Raises CudaError."""
        self.logger.last = ""
        if not self.context.execute_async_v3(stream):
            raise CudaError(f"TensorRT could not run the {self.name} graph: {self.logger.last or 'no reason given'}")


def serves_capability(trt: ModuleType, capability: tuple[int, int]) -> bool:
    """Whether the module runs on GPUs of this compute capability.

    TensorRT for RTX lists those that it serves; those of data centres are not among them.
    """
    return trt.__name__ == "tensorrt" or "SM{}{}".format(*capability) in trt.ComputeCapability.__members__


@contextlib.contextmanager
def timings(trt: Any, config: Any) -> Iterator[None]:
    """While a graph is compiled, let the standard TensorRT use the kernels that it timed before, and keep new ones.

    The next graph then takes a fraction of the time. TensorRT for RTX times nothing while it compiles.
    """
    if trt.__name__ != "tensorrt":
        yield
        return
    path = cache_folder() / "tensorrt.timings"
    try:
        kept = path.read_bytes()
    except OSError:
        kept = b""
    # a damaged file, or one of another version, is begun anew
    cache = config.create_timing_cache(kept) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    yield
    with contextlib.suppress(OSError):  # it only saves time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(config.get_timing_cache().serialize())


def gpu_name() -> str:
    """Name and compute capability of the GPU: "NVIDIA H100 sm90". Raises CudaError when there is none."""
    name, (major, minor) = find_gpu().device()
    return f"{name} sm{major}{minor}"


def quiet_logger(trt: Any) -> Any:
    """A logger of TensorRT that keeps the last error in ``last`` instead of printing all."""

    class QuietLogger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last = ""

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last = message.strip().splitlines()[0]

    return QuietLogger()


def monitor(trt: Any, progress: Progress) -> Any:
    """A progress monitor of TensorRT that calls ``progress`` at every step."""

    class StepMonitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}  # phase -> steps that it has

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress(phase_name, step + 1, self.steps.get(phase_name, 0))

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return StepMonitor()


def shape_range(builder: Any, network: Any, batch_size: int) -> Any:
    """The optimisation profile: any batch size from 1 to MAX_BATCH, fastest at ``batch_size``; a ring of any length."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        port = network.get_input(i)
        rest = tuple(port.shape)[1:]
        is_ring = port.name == "ring"
        lengths = (1, batch_size * TYPICAL_ROWS, MOST_ROWS) if is_ring else (1, batch_size, MAX_BATCH)
        profile.set_shape(port.name, *((length, *rest) for length in lengths))
    return profile


def describe(ports: list[Any], batch_size: int) -> Ports:
    """Inputs or outputs as a manifest has them: name -> [dtype, shape]. A ring may have any number of rows: -1."""
    return {
        port.name: [
            np.dtype(DTYPES[port.dtype.name]).name,
            [-1 if port.name == "ring" else batch_size, *tuple(port.shape)[1:]],
        ]
        for port in ports
    }
