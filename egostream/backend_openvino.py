"""OpenVINO: the default backend. Intel and AMD processors without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from egostream.weights import MOTION, POSE, STEP

DTYPES = {"u8": np.uint8, "f32": np.float32, "boolean": np.bool_}
HINTS = {"fp32": "f32", "bf16": "bf16"}  # int8 graphs: what is not quantised runs in the best of these


class OpenVINOEngine:
    def __init__(self, compiled, outputs):
        self.request, self.names = compiled.create_infer_request(), outputs

    def bind(self, arrays):
        from openvino import Tensor

        self.held = arrays  # OpenVINO reads this very memory
        for name, array in arrays.items():
            self.request.set_tensor(name, Tensor(array, shared_memory=True))

    def run(self):
        self.request.infer()
        return {name: self.request.get_tensor(name).data for name in self.names}


class OpenVINOBackend:
    name = "openvino"
    install = "pip install openvino"
    suffix = ".blob"
    runs = (STEP, MOTION, POSE)
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
            options["SNIPPETS_MODE"] = "DISABLE"  # its code generator takes the residual sums, which then stay out of the convolutions
        return options

    def build(self, model, precision, batch, path: Path):
        graph = self.core().read_model(model.SerializeToString())
        shapes = {}
        for port in graph.inputs:
            shape = port.get_partial_shape()
            shape[0] = batch
            shapes[port.get_any_name()] = shape
        graph.reshape(shapes)
        compiled = self.core().compile_model(graph, "CPU", self.options(precision))
        path.write_bytes(compiled.export_model().getvalue())
        known = {port.name for port in (*model.graph.input, *model.graph.output)}  # a port may have an inner value's name as well
        return tuple({(port.get_names() & known).pop(): describe(port) for port in ports} for ports in (compiled.inputs, compiled.outputs))

    def load(self, path, manifest, threads):
        from openvino import Tensor

        # The precision is not part of the blob: without the hint, the processor's own default would be used.
        config = self.options(manifest.precision)
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        blob = Tensor(np.memmap(path, np.uint8, "r"))  # mapped: the weights are read once, not held twice
        try:
            return OpenVINOEngine(self.core().import_model(blob, "CPU", config), list(manifest.outputs))
        except RuntimeError as error:
            raise EgostreamError(
                f"OpenVINO cannot load {path}: {first_line(error)}. Rebuild it: python tools/build_engine.py --help"
            ) from None


def describe(port) -> list:
    return [np.dtype(DTYPES[port.get_element_type().get_type_name()]).name, list(port.get_shape())]


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


BACKEND = OpenVINOBackend()
