"""The contracts of engines: what a compiled graph is, what its manifest says, and what every backend promises.

A backend compiles graphs to engine files and loads them. A processor's backend loads an ``Engine``: arrays in, arrays
out. A GPU's backend loads a ``DeviceGraph``: addresses on the device in, work on a CUDA stream out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

if TYPE_CHECKING:  # processes that run no network read this module, too, and need no onnx for it
    import onnx

SCHEMA = 1  # of the manifest

#: Modules that the TensorRT backend can work through, best first. Both have the same interface.
TENSORRT_MODULES = ("tensorrt_rtx", "tensorrt")

#: Inputs or outputs as a manifest has them: name -> [dtype, shape].
Ports = dict[str, list]

#: Reports a compiler's progress: (phase, step, steps) -> True to go on, False to stop.
Progress = Callable[[str, int, int], bool]


class EngineManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine file is, written beside it as ``<engine>.json`` and checked before the engine is loaded."""

    graph: str
    backend: str
    backend_version: str
    device: str  # processor or GPU it was compiled on
    precision: str  # arithmetic inside: fp32, bf16, ...
    temporal: str
    window: int
    batch: int  # the batch size: streams, N of every input
    weights_id: str
    engine_sha256: str
    inputs: Ports
    outputs: Ports
    format: int = 1  # of the backend's engine files
    quantization: str = ""  # SHA-256 of the scales, of an int8 engine
    parity: dict = {}  # largest and mean absolute difference per output, when it was measured
    schema: int = SCHEMA


@dataclass(frozen=True)
class EngineFile:
    """An engine that a run will load: where it lies, and what its manifest must say."""

    path: Path
    fields: dict[str, Any]  # field of the manifest -> its value


class Engine(Protocol):
    """A graph loaded on a processor. Inputs are arrays that the caller owns and writes in place."""

    parts: int  # pieces that one run consists of; 1: it can only be run as a whole

    def bind(self, arrays: dict[str, np.ndarray]) -> None:
        """Read the inputs, by name, from these C-contiguous arrays at every run from now on."""

    def run(self) -> dict[str, np.ndarray]:
        """Run once. Returns the outputs by name, as views that the next run overwrites."""

    def run_parts(self) -> Iterator[dict[str, np.ndarray] | None]:
        """Run once, one part at each step of the iterator: None after every part but the last, then the outputs.

        The outputs are as ``run`` returns them. Inputs must not change before the last part has run.
        """


class DeviceGraph(Protocol):
    """A graph loaded on a GPU, not yet prepared for any shape."""

    manifest: EngineManifest

    def instance(self, shapes: dict[str, tuple], addresses: dict[str, int]) -> DeviceGraphInstance:
        """Prepare the graph for these shapes of its inputs, with inputs and outputs at these addresses on the device.

        Raises EgostreamError when the engine does not take a shape or the GPU has no room for it.
        """

    def save_cache(self) -> None:
        """Write the kernels that were compiled in this run, so that the next run need not. Raises OSError."""


class DeviceGraphInstance(Protocol):
    """A graph on a GPU, prepared for one batch size and for fixed addresses."""

    scratch_bytes: int  # device memory that it needs for intermediate values

    def use_scratch(self, address: int, nbytes: int) -> None:
        """Keep intermediate values at this address. Instances that never run at once may share it."""

    def enqueue(self, stream: int) -> None:
        """Put one run on a CUDA stream, given by its handle, and return at once. Raises CudaError."""


class Backend(Protocol):
    """One way of compiling graphs. Nothing of a backend can be changed: another setting is another backend."""

    @property
    def name(self) -> str:
        """What ``--backend`` calls it. The name is part of engine files' names and manifests."""

    @property
    def install(self) -> str:
        """The command that installs its library."""

    @property
    def is_gpu(self) -> bool:
        """Whether it is a ``GpuBackend``; otherwise it is a ``ProcessorBackend``."""

    @property
    def suffix(self) -> str:
        """Suffix of its engine files, with the dot."""

    @property
    def format(self) -> int:
        """Number of its engine files' layout, raised when we change what the library's own version does not tell."""

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the graphs that a run loads.

        Processors run composed graphs, which their compilers optimise as a whole: ``step``, or ``motion`` and ``pose``.
        A GPU runs the four graphs that own tensors, two of them beside each other on streams of their own. Without a
        backbone, it is others (``choose.processor_graphs``, ``choose.gpu_graphs``).
        """

    @property
    def unsigned_int8(self) -> bool:
        """Whether int8 graphs use uint8 for values that are never negative, which halves the steps of rounding.

        OpenVINO and ONNX Runtime: yes. TensorRT: no, it has no such type for quantised values.
        """

    @property
    def int8_pays(self) -> bool:
        """Whether its int8 was measured to be faster than its best floating point; presets choose int8 only then.

        OpenVINO: yes. ONNX Runtime: no, it is slower. TensorRT: not measured, therefore no.
        """

    def version(self) -> str:
        """Version of the library, compared with a manifest's. Raises ImportError when it is not installed."""

    def device(self) -> str:
        """The processor or GPU that engines are compiled for, as the manifest names it."""

    def serves(self, device: str) -> bool:
        """Whether an engine compiled for ``device`` can run here. Raises EgostreamError when no engine can."""

    def precisions(self) -> list[str]:
        """Precisions that it can run here, best default first."""

    def build(self, model: onnx.ModelProto, precision: str, batch_size: int, path: Path) -> tuple[Ports, Ports]:
        """Compile an ONNX model to the file ``path``. Returns the manifest's inputs and outputs.

        May raise any exception of its library; ``engine.build`` turns it into an EgostreamError.
        """


class ProcessorBackend(Backend, Protocol):
    """A backend whose engines run on the processor. Each such module has one, named ``BACKEND``."""

    def load(self, path: Path, manifest: EngineManifest, threads: int) -> Engine:
        """Load an engine whose manifest was checked. Raises EgostreamError when the library refuses it.

        threads: 0 leaves the number to the library.
        """


class GpuBackend(Backend, Protocol):
    """A backend whose engines run on a GPU."""

    @property
    def module(self) -> str:
        """Module of the library that compiles and loads; empty: the first of ``TENSORRT_MODULES`` that is installed."""

    @property
    def target(self) -> str:
        """GPUs that are compiled for: a key of ``backend_tensorrt.TARGETS``."""

    @property
    def progress(self) -> Progress | None:
        """Called at every step of compiling; None: nobody is told."""

    def aimed_here(self) -> GpuBackend:
        """A backend that compiles for the GPU of this machine, by a module that knows it.

        Raises CudaError when there is no GPU, EgostreamError when the module asked for does not serve it.
        """

    def graph(self, model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
        """The graph that ``build`` compiles: in the form for GPUs and in its precision. ``model`` is left as it is."""

    def load(self, path: Path, manifest: EngineManifest) -> DeviceGraph:
        """Load an engine whose manifest was checked. A CUDA context must be open. Raises EgostreamError."""
