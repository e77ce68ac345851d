"""ONNX Runtime: the portable backend, on the CPU provider."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from egostream.engine.contract import EngineManifest, Ports
from egostream.errors import EgostreamError, first_line
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(bool)": "bool"}


class ONNXRuntimeEngine:
    """A session with its outputs bound to arrays of its own: an ``Engine`` of one part."""

    parts = 1

    def __init__(self, session: InferenceSession, manifest: EngineManifest):
        self.session = session
        self.binding = session.io_binding()
        self.bound: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        for name, (dtype, shape) in manifest.outputs.items():
            self.outputs[name] = np.zeros(shape, dtype)
            self.binding.bind_output(name, "cpu", 0, self.outputs[name].dtype, shape, self.outputs[name].ctypes.data)

    def bind(self, arrays: dict[str, np.ndarray]) -> None:
        """Read the inputs, by name, from these C-contiguous arrays at every run from now on."""
        self.bound = arrays  # held, since ONNX Runtime reads this very memory
        for name, array in arrays.items():
            self.binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self) -> dict[str, np.ndarray]:
        """Run once. Returns the outputs by name, as arrays that the next run overwrites."""
        self.session.run_with_iobinding(self.binding)
        return self.outputs

    def run_parts(self) -> Iterator[dict[str, np.ndarray] | None]:
        """Run once, in the only part that there is."""
        yield self.run()


class ONNXRuntimeBackend:
    """The ``ProcessorBackend`` of ONNX Runtime. Its engine files are optimised ONNX graphs."""

    name = "onnxruntime"
    install = "pip install onnxruntime"
    is_gpu = False
    suffix = ".onnx"
    format = 1
    runs = (STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH)
    unsigned_int8 = True
    int8_pays = False  # 100 ms a step against 97 in fp32, on Zen 5

    def version(self) -> str:
        """Version of ONNX Runtime. Raises ImportError when it is not installed."""
        import onnxruntime

        return onnxruntime.__version__

    def device(self) -> str:
        """The processor's architecture: an engine file runs on every processor that has it."""
        return f"CPU {platform.machine()}"

    def serves(self, device: str) -> bool:
        """Whether an engine compiled for ``device`` can run here."""
        return device == self.device()

    def precisions(self) -> list[str]:
        """Precisions that the CPU provider runs, best default first."""
        return ["fp32", "int8"]

    def session(self, model: bytes | str, threads: int = 0, optimized: Path | None = None) -> InferenceSession:
        """A session of a graph: its bytes, or the path of its file. threads: 0 leaves the number to the library.

        optimized: file to write the optimised graph to, such that any processor can run it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        if optimized:
            # "Extended" rewrites run anywhere; the layout rewrites of "all" belong to one processor.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            options.optimized_model_filepath = str(optimized)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def build(self, model: onnx.ModelProto, precision: str, batch_size: int, path: Path) -> tuple[Ports, Ports]:
        """Write the optimised graph to ``path``. Returns its inputs and outputs: name -> [dtype, shape]."""
        session = self.session(model.SerializeToString(), optimized=path)
        return describe(session.get_inputs(), batch_size), describe(session.get_outputs(), batch_size)

    def load(self, path: Path, manifest: EngineManifest, threads: int) -> ONNXRuntimeEngine:
        """Load an engine whose manifest was checked. Raises EgostreamError when the library refuses it."""
        try:
            return ONNXRuntimeEngine(self.session(str(path), threads), manifest)
        except Exception as error:  # its exception classes live in a private module
            raise EgostreamError(
                f"ONNX Runtime cannot load {path}: {first_line(error)}. Rebuild it: python tools/build_engine.py --help"
            ) from None


def describe(ports: list[Any], batch_size: int) -> Ports:
    """Inputs or outputs of a session as a manifest has them: name -> [dtype, shape]."""
    return {port.name: [DTYPES[port.type], [batch_size, *port.shape[1:]]] for port in ports}


BACKEND = ONNXRuntimeBackend()
