"""OpenVINO: the default backend. Intel and AMD processors without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from egostream.engine.contract import EngineManifest, Ports
from egostream.errors import EgostreamError, first_line
from egostream.graph.parts import split_graph
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Tensor

DTYPES = {"u8": np.uint8, "f32": np.float32, "boolean": np.bool_}
#: Our names of floating-point precisions -> OpenVINO's.
HINTS = {"fp32": "f32", "bf16": "bf16"}
#: Bytes that blobs are aligned to in an engine file: a page of memory, so that each can be mapped by itself.
PAGE = 4096


class OpenVINOEngine:
    """A compiled graph, or the parts of one: each part reads what the part before it made, where that part left it."""

    def __init__(self, compiled: list[CompiledModel], outputs: list[str]):
        """compiled: the parts in the order they run. outputs: names of the last part's outputs that are wanted."""
        self.requests, self.names, self.parts = [one.create_infer_request() for one in compiled], outputs, len(compiled)
        self.bound: dict[str, np.ndarray] = {}
        self.readers: dict[str, list] = {}  # name of an input -> the requests that read it
        for request in self.requests:
            for name in (name for port in request.model_inputs for name in port.get_names()):
                self.readers.setdefault(name, []).append(request)
        for request in self.requests[:-1]:
            (handed,) = request.model_outputs
            (name,) = handed.get_names() & set(self.readers)
            self.set_input(name, request.get_tensor(handed))

    def set_input(self, name: str, tensor: Tensor) -> None:
        """Let every part that has an input of this name read it from ``tensor``."""
        for request in self.readers[name]:
            request.set_tensor(name, tensor)

    def bind(self, arrays: dict[str, np.ndarray]) -> None:
        """Read the inputs, by name, from these C-contiguous arrays at every run from now on."""
        from openvino import Tensor

        self.bound = arrays  # held, since OpenVINO reads this very memory
        for name, array in arrays.items():
            self.set_input(name, Tensor(array, shared_memory=True))

    def run(self) -> dict[str, np.ndarray]:
        """Run once. Returns the outputs by name, as views that the next run overwrites."""
        for request in self.requests:
            request.infer()
        return self.outputs()

    def run_parts(self) -> Iterator[dict[str, np.ndarray] | None]:
        """Run once, one part at each step of the iterator: None after every part but the last, then the outputs."""
        for request in self.requests[:-1]:
            request.infer()
            yield None
        self.requests[-1].infer()
        yield self.outputs()

    def outputs(self) -> dict[str, np.ndarray]:
        """Views of what the last run left in the last part's outputs."""
        return {name: self.requests[-1].get_tensor(name).data for name in self.names}


class OpenVINOBackend:
    """The ``ProcessorBackend`` of OpenVINO. Its engine files hold one blob for each part of a graph."""

    name = "openvino"
    install = "pip install openvino"
    is_gpu = False
    suffix = ".blob"
    format = 2  # 2: a graph in parts
    runs = (STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH)
    unsigned_int8 = True
    int8_pays = True  # 32 ms a step against 50 in bf16 and 98 in fp32, on Zen 4

    @cached_property
    def core(self) -> Core:
        """OpenVINO's entry, made at first use: importing it takes long. Raises ImportError when it is not installed."""
        from openvino import Core

        return Core()

    def version(self) -> str:
        """Version of OpenVINO. Raises ImportError when it is not installed."""
        import openvino

        return openvino.get_version()

    def device(self) -> str:
        """The processor's full name: what is compiled may use all that this processor has."""
        return self.core.get_property("CPU", "FULL_DEVICE_NAME").strip()

    def serves(self, device: str) -> bool:
        """Whether an engine compiled for ``device`` can run here: only the processor that it was compiled on."""
        return device == self.device()

    def precisions(self) -> list[str]:
        """Precisions that this processor runs, best default first."""
        return ["bf16", "fp32", "int8"] if self.has_bf16() else ["fp32", "int8"]

    def has_bf16(self) -> bool:
        """Whether this processor computes in bf16."""
        return "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def hint(self, precision: str) -> str:
        """OpenVINO's name of the floating-point precision; what int8 leaves unquantised runs in the best there is."""
        return HINTS[("bf16" if self.has_bf16() else "fp32") if precision == "int8" else precision]

    def options(self, precision: str) -> dict[str, str]:
        """Properties that a graph of this precision is compiled and loaded with."""
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.hint(precision)}
        if precision == "int8":
            # Its code generator takes the residual sums, which then stay out of the convolutions.
            options["SNIPPETS_MODE"] = "DISABLE"
        return options

    def build(self, model: onnx.ModelProto, precision: str, batch_size: int, path: Path) -> tuple[Ports, Ports]:
        """Compile a graph, part by part, to the file ``path``. Returns inputs and outputs: name -> [dtype, shape]."""
        compiled = [self.compile(part, precision, batch_size) for part in split_graph(model)]
        write_blobs(path, [one.export_model().getvalue() for one in compiled])
        inputs = [port for one in compiled for port in one.inputs]
        return named(inputs, model.graph.input), named(compiled[-1].outputs, model.graph.output)

    def compile(self, model: onnx.ModelProto, precision: str, batch_size: int) -> CompiledModel:
        """One graph, compiled for this processor and for one batch size."""
        graph = self.core.read_model(model.SerializeToString())
        shapes = {}
        for port in graph.inputs:
            shape = port.get_partial_shape()
            shape[0] = batch_size
            shapes[port.get_any_name()] = shape
        graph.reshape(shapes)
        return self.core.compile_model(graph, "CPU", self.options(precision))

    def load(self, path: Path, manifest: EngineManifest, threads: int) -> OpenVINOEngine:
        """Load an engine whose manifest was checked. Raises EgostreamError when the library refuses it.

        threads: 0 leaves the number to the library.
        """
        from openvino import Tensor

        # The precision is not part of the blob: without the hint, the processor's own default would be used.
        config: dict[str, Any] = {**self.options(manifest.precision)}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = [self.core.import_model(Tensor(blob), "CPU", config) for blob in read_blobs(path)]
            return OpenVINOEngine(compiled, list(manifest.outputs))
        except RuntimeError as error:
            raise EgostreamError(
                f"OpenVINO cannot load {path}: {first_line(error)}. Rebuild it: python tools/build_engine.py --help"
            ) from None


def write_blobs(path: Path, blobs: list[bytes]) -> None:
    """Write an engine file: a page with the blobs' sizes (int64), then each blob from the beginning of a page on."""
    with open(path, "wb") as file:
        for piece in (np.array([len(blob) for blob in blobs], np.int64).tobytes(), *blobs):
            file.write(piece + bytes(-len(piece) % PAGE))


def read_blobs(path: Path) -> list[np.ndarray]:
    """The blobs of an engine file, uint8 [n] each, mapped: the weights are read once, not held twice."""
    whole = np.memmap(path, np.uint8, "r")
    start, blobs = PAGE, []
    for size in whole[:PAGE].view(np.int64):
        if size:
            blobs.append(whole[start : start + size])
            start += -(-size // PAGE) * PAGE
    return blobs


def named(ports: list[Any], known: Any) -> Ports:
    """Compiled inputs or outputs by the names that the graph's ports have: name -> [dtype, shape].

    A compiled port may bear an inner value's name besides its own.
    """
    names = {port.name for port in known}
    return {name: describe(port) for port in ports for name in port.get_names() & names}


def describe(port: Any) -> list:
    """Type and shape of a compiled input or output: [dtype, shape]."""
    return [np.dtype(DTYPES[port.get_element_type().get_type_name()]).name, list(port.get_shape())]


BACKEND = OpenVINOBackend()
