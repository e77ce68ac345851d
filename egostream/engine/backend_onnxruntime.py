"""ONNX Runtime: the portable backend, on the CPU provider."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH

DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(bool)": "bool"}


class ONNXRuntimeEngine:
    parts = 1

    def __init__(self, session, manifest):
        self.session = session
        self.binding = session.io_binding()
        self.outputs = {}
        for name, (dtype, shape) in manifest.outputs.items():
            self.outputs[name] = np.zeros(shape, dtype)
            self.binding.bind_output(name, "cpu", 0, self.outputs[name].dtype, shape, self.outputs[name].ctypes.data)

    def bind(self, arrays):
        self.held = arrays  # ONNX Runtime reads this very memory
        for name, array in arrays.items():
            self.binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self):
        self.session.run_with_iobinding(self.binding)
        return self.outputs

    def run_parts(self):
        yield self.run()


class ONNXRuntimeBackend:
    name = "onnxruntime"
    install = "pip install onnxruntime"
    suffix = ".onnx"
    format = 1
    runs = (STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH)
    unsigned_int8 = True
    int8_pays = False  # 100 ms a step against 97 in fp32, on Zen 5

    def version(self):
        import onnxruntime

        return onnxruntime.__version__

    def device(self):
        return f"CPU {platform.machine()}"

    def serves(self, device):
        return device == self.device()

    def precisions(self):
        return ["fp32", "int8"]

    def session(self, model, threads=0, optimized: Path | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if optimized:
            # "Extended" rewrites run anywhere; the layout rewrites of "all" belong to one processor.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            options.optimized_model_filepath = str(optimized)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def build(self, model, precision, batch, path: Path):
        session = self.session(model.SerializeToString(), optimized=path)
        return tuple(
            {p.name: [DTYPES[p.type], [batch, *p.shape[1:]]] for p in ports}
            for ports in (session.get_inputs(), session.get_outputs())
        )

    def load(self, path, manifest, threads):
        try:
            return ONNXRuntimeEngine(self.session(str(path), threads), manifest)
        except Exception as error:  # its exception classes live in a private module
            raise EgostreamError(
                f"ONNX Runtime cannot load {path}: {str(error).splitlines()[0]}. Rebuild it: python tools/build_engine.py --help"
            ) from None


BACKEND = ONNXRuntimeBackend()
