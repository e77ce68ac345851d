"""OpenVINO: the default backend. Intel and AMD processors without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from egostream.graph import parts as cut
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH

DTYPES = {"u8": np.uint8, "f32": np.float32, "boolean": np.bool_}
HINTS = {"fp32": "f32", "bf16": "bf16"}  # int8 graphs: what is not quantised runs in the best of these
PAGE = 4096


class OpenVINOEngine:
    """A compiled graph, or the parts of one: each reads what the one before made where that left it."""

    def __init__(self, compiled, outputs):
        self.requests, self.names, self.parts = [one.create_infer_request() for one in compiled], outputs, len(compiled)
        self.readers: dict[str, list] = {}  # of each input
        for request in self.requests:
            for name in (name for port in request.model_inputs for name in port.get_names()):
                self.readers.setdefault(name, []).append(request)
        for request in self.requests[:-1]:
            (handed,) = request.model_outputs
            (name,) = handed.get_names() & set(self.readers)
            self.set_input(name, request.get_tensor(handed))

    def set_input(self, name, tensor):
        for request in self.readers[name]:
            request.set_tensor(name, tensor)

    def bind(self, arrays):
        from openvino import Tensor

        self.held = arrays  # OpenVINO reads this very memory
        for name, array in arrays.items():
            self.set_input(name, Tensor(array, shared_memory=True))

    def run(self):
        *_, outputs = self.run_parts()
        return outputs

    def run_parts(self):
        for request in self.requests[:-1]:
            request.infer()
            yield None
        self.requests[-1].infer()
        yield {name: self.requests[-1].get_tensor(name).data for name in self.names}


class OpenVINOBackend:
    name = "openvino"
    install = "pip install openvino"
    suffix = ".blob"
    format = 2  # 2: a graph in parts
    runs = (STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH)
    unsigned_int8 = True
    int8_pays = True

    def __init__(self):
        self.cached_core = None

    def core(self):
        if self.cached_core is None:
            from openvino import Core

            self.cached_core = Core()
        return self.cached_core

    def version(self):
        import openvino

        return openvino.get_version()

    def device(self):
        return self.core().get_property("CPU", "FULL_DEVICE_NAME").strip()

    def serves(self, device):
        return device == self.device()

    def precisions(self):
        return ["bf16", "fp32", "int8"] if self.has_bf16() else ["fp32", "int8"]

    def has_bf16(self) -> bool:
        return "BF16" in self.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def hint(self, precision: str) -> str:
        return HINTS[("bf16" if self.has_bf16() else "fp32") if precision == "int8" else precision]

    def options(self, precision: str) -> dict[str, str]:
        """What a graph is compiled and loaded with."""
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.hint(precision)}
        if precision == "int8":
            options["SNIPPETS_MODE"] = (
                "DISABLE"  # its code generator takes the residual sums, which then stay out of the convolutions
            )
        return options

    def build(self, model, precision, batch, path: Path):
        compiled = [self.compile(part, precision, batch) for part in cut.parts(model)]
        write_blobs(path, [one.export_model().getvalue() for one in compiled])
        return tuple(
            {
                name: describe(port) for port in ports for name in port.get_names() & known
            }  # a port may have an inner value's name as well
            for ports, known in (
                ([port for one in compiled for port in one.inputs], {port.name for port in model.graph.input}),
                (compiled[-1].outputs, {port.name for port in model.graph.output}),
            )
        )

    def compile(self, model, precision, batch):
        graph = self.core().read_model(model.SerializeToString())
        shapes = {}
        for port in graph.inputs:
            shape = port.get_partial_shape()
            shape[0] = batch
            shapes[port.get_any_name()] = shape
        graph.reshape(shapes)
        return self.core().compile_model(graph, "CPU", self.options(precision))

    def load(self, path, manifest, threads):
        from openvino import Tensor

        # The precision is not part of the blob: without the hint, the processor's own default would be used.
        config = self.options(manifest.precision)
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = [self.core().import_model(Tensor(blob), "CPU", config) for blob in read_blobs(path)]
            return OpenVINOEngine(compiled, list(manifest.outputs))
        except RuntimeError as error:
            raise EgostreamError(
                f"OpenVINO cannot load {path}: {first_line(error)}. Rebuild it: python tools/build_engine.py --help"
            ) from None


def write_blobs(path: Path, blobs: list[bytes]) -> None:
    """An engine file: a page with the blobs' sizes, then each of them from a page's beginning on."""
    with open(path, "wb") as file:
        for piece in (np.array([len(blob) for blob in blobs], np.int64).tobytes(), *blobs):
            file.write(piece + bytes(-len(piece) % PAGE))


def read_blobs(path: Path) -> list[np.ndarray]:
    """Mapped: the weights are read once, not held twice."""
    whole, start, blobs = np.memmap(path, np.uint8, "r"), PAGE, []
    for size in whole[:PAGE].view(np.int64):
        if size:
            blobs.append(whole[start : start + size])
            start += -(-size // PAGE) * PAGE
    return blobs


def describe(port) -> list:
    return [np.dtype(DTYPES[port.get_element_type().get_type_name()]).name, list(port.get_shape())]


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


BACKEND = OpenVINOBackend()
