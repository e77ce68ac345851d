"""The GPU worker's calls carried out on the host: memory is NumPy's, ONNX Runtime runs the graphs.


It stands in for a driver where there is none, to show that the worker uploads, gathers, keeps and downloads the right
bytes in the right order. It shows nothing of a real GPU: not its speed, and not that CUDA takes the calls.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

import numpy as np
import pytest
from onnx import helper

from egostream.engine.backends import backend
from egostream.engine.contract import EngineManifest
from egostream.engine.cuda import CudaError, find_gpu


def no_gpu() -> str:
    """Why there is no GPU here; empty when there is one."""
    try:
        find_gpu()
    except CudaError as error:
        return str(error)
    return ""


needs_gpu = pytest.mark.skipif(bool(no_gpu()), reason=no_gpu() or "there is one")


@dataclass
class HostStream:
    handle: int


class HostCuda:
    """Work on a stream is done at once; while a stream is captured, it is recorded and done at every launch."""

    binding = "host"

    def __init__(self):
        self.held, self.recording = [], None
        self.log, self.on_stream, self.streams = [], [], []  # calls by name; those on a stream with its name; handles

    def allocate(self, nbytes):
        self.held.append(np.full(nbytes + 256, 0xFF, np.uint8))  # NaN in every float: nothing may count on zeros
        address = self.held[-1].ctypes.data
        return address + -address % 256

    def pinned(self, nbytes):
        self.held.append(np.full(nbytes, 0xFF, np.uint8))
        return self.held[-1]

    def stream(self):
        self.streams.append(len(self.streams) + 1)
        return HostStream(self.streams[-1])

    def note(self, name, handle):
        self.log.append(name)
        self.on_stream.append(f"{name} {('main', 'side')[self.streams.index(handle)]}")

    def event(self, timed=False):
        return {}

    def do(self, name, handle, work):
        self.note(name, handle)
        self.recording.append(work) if self.recording is not None else work()

    def record(self, event, stream):
        self.note("record", stream.handle)
        event["s"] = time.perf_counter()

    def elapsed_ms(self, start, end):
        return 1e3 * (end["s"] - start["s"])

    def wait(self, stream, event):
        self.note("wait", stream.handle)

    def synchronize(self, event):
        if self.recording is not None:
            raise CudaError("CUDA: synchronising while capturing")

    def upload(self, address, array, stream):
        self.do("upload", stream.handle, lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes))

    def download(self, array, address, stream):
        self.do("download", stream.handle, lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes))

    def copy(self, to, source, nbytes, stream):
        self.do("copy", stream.handle, lambda: ctypes.memmove(to, source, nbytes))

    def clear(self, address, nbytes, stream):
        self.do("clear", stream.handle, lambda: ctypes.memset(address, 0, nbytes))

    def begin_capture(self, stream):
        self.log.append("capture")
        self.recording = []

    def end_capture(self, stream):
        recorded, self.recording = self.recording, None
        return recorded

    def launch(self, graph, stream):
        self.log.append("launch")
        for work in graph:
            work()


def view(address: int, dtype: str, shape: tuple) -> np.ndarray:
    """The host's memory at an address as an array."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(address), dtype).reshape(shape)


def describe(ports) -> dict[str, list]:
    """Inputs or outputs as a manifest has them; the first dimension is the batch's, or the ring's."""
    types = {
        port.name: np.dtype(helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)).name for port in ports
    }
    return {
        port.name: [types[port.name], [-1, *(dim.dim_value for dim in port.type.tensor_type.shape.dim[1:])]]
        for port in ports
    }


class HostGraph:
    """A graph in the form for GPUs on ONNX Runtime, as ``contract.DeviceGraph``."""

    def __init__(self, cuda: HostCuda, name: str, model, weights):
        self.cuda, self.session = cuda, backend("onnxruntime").session(model.SerializeToString())
        inputs, outputs = describe(model.graph.input), describe(model.graph.output)
        self.manifest = EngineManifest(
            graph=name,
            backend="tensorrt",
            backend_version="",
            device="",
            precision="fp32",
            temporal=weights.form,
            window=weights.window,
            batch=1,
            weights_id=weights.id,
            engine_sha256="",
            inputs=inputs,
            outputs=outputs,
        )

    def instance(self, shapes, addresses):
        return HostInstance(self, shapes, addresses)

    def save_cache(self):
        raise PermissionError(13, "Permission denied", "kernels")


class HostInstance:
    scratch_bytes = 0

    def __init__(self, graph: HostGraph, shapes, addresses):
        self.graph = graph
        self.inputs = {n: view(addresses[n], dtype, shapes[n]) for n, (dtype, _) in graph.manifest.inputs.items()}
        batch = shapes[next(name for name in graph.manifest.inputs if name != "ring")][0]
        self.outputs = {
            n: view(addresses[n], dtype, (batch, *shape[1:])) for n, (dtype, shape) in graph.manifest.outputs.items()
        }

    def use_scratch(self, address, nbytes):
        assert address % 256 == 0

    def enqueue(self, stream):
        self.graph.cuda.do(self.graph.manifest.graph, stream, self.run)

    def run(self):
        for name, found in zip(self.outputs, self.graph.session.run(list(self.outputs), self.inputs)):
            self.outputs[name][...] = found
