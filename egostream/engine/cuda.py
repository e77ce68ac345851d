"""CUDA's driver, as much of it as a GPU worker needs: memory, copies, streams, events, captured graphs.

Through pycuda where that is installed, else through cuda-python; nothing else in egostream knows which. pycuda (2026.1)
knows no graphs, so that these go to the driver library itself there. Addresses are plain integers, as TensorRT takes them.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
from typing import Protocol

import numpy as np

from egostream.errors import EgostreamError

INSTALL = "pip install cuda-bindings"
NO_DRIVER = "no NVIDIA driver is installed (libcuda). With an NVIDIA GPU, install it, then check: nvidia-smi"
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: apart from the default stream, which a capture would refuse
THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


class CudaError(EgostreamError):
    """Something that CUDA refused, in one line that says what to do."""


class Stream(Protocol):
    """An order of work on the GPU."""

    handle: int


class Cuda(Protocol):
    """One GPU. Not thread-safe: the context belongs to the thread that opened it. Every method raises CudaError.

    Before ``open`` it only tells what there is, and takes no memory of the GPU's.
    """

    binding: str

    def open(self) -> None:
        """Make this thread's work go to the GPU. Needed before everything but the next two."""

    def driver_version(self) -> tuple[int, int]:
        """CUDA version that the driver supports: (13, 0)."""

    def device(self) -> tuple[str, tuple[int, int]]:
        """Name and compute capability of the GPU."""

    def memory(self) -> tuple[int, int]:
        """Free and total bytes on the GPU."""

    def allocate(self, nbytes: int) -> int:
        """Address of new device memory, held as long as the process."""

    def pinned(self, nbytes: int) -> np.ndarray:
        """uint8 [nbytes] of page-locked host memory, held as long as the process."""

    def stream(self) -> Stream: ...

    def event(self, timed: bool = False): ...

    def record(self, event, stream: Stream) -> None: ...

    def wait(self, stream: Stream, event) -> None:
        """Hold what is put on ``stream`` from now on until the event has happened."""

    def synchronize(self, event) -> None:
        """Block this thread until the event has happened."""

    def elapsed_ms(self, start, end) -> float:
        """Between two timed events that have happened."""

    def upload(self, address: int, array: np.ndarray, stream: Stream) -> None: ...

    def download(self, array: np.ndarray, address: int, stream: Stream) -> None: ...

    def copy(self, to: int, source: int, nbytes: int, stream: Stream) -> None:
        """From device memory to device memory."""

    def clear(self, address: int, nbytes: int, stream: Stream) -> None: ...

    def begin_capture(self, stream: Stream) -> None:
        """Record what is put on ``stream``, and on streams that wait for it, instead of running it."""

    def end_capture(self, stream: Stream):
        """What was recorded, ready to launch."""

    def launch(self, graph, stream: Stream) -> None: ...

    def close(self) -> None: ...


def find_gpu(number: int = 0) -> Cuda:
    """The GPU of this number, not yet opened, through the binding that is installed. Raises CudaError that says what is missing."""
    problems = []
    for binding in BINDINGS:
        try:
            return binding(number)
        except ImportError as error:
            problems.append(f"{binding.binding}: {str(error).splitlines()[0]}")
    raise CudaError(f"no binding to CUDA is installed ({'; '.join(problems)}). Install one: {INSTALL}")


def no_memory(nbytes: int, free: int, total: int) -> CudaError:
    return CudaError(
        f"out of GPU memory: {nbytes / 2**20:.0f} MiB more are needed, {free / 2**20:.0f} of {total / 2**20:.0f} MiB are free. "
        "Close other programs, or run fewer cameras"
    )


class PyCuda:
    """The GPU through pycuda."""

    binding = "pycuda"

    def __init__(self, number: int):
        import pycuda.driver as driver

        self.driver, self.held, self.context = driver, [], None
        try:
            driver.init()
            if driver.Device.count() <= number:
                raise CudaError(f"no NVIDIA GPU number {number}: {driver.Device.count()} found")
            self.gpu = driver.Device(number)
        except driver.Error as error:
            raise CudaError(f"no NVIDIA GPU can be used: {error}. Check the driver: nvidia-smi") from None

    def open(self):
        self.context = self.attempt(self.gpu.retain_primary_context)
        self.attempt(self.context.push)
        atexit.register(self.close)  # pycuda aborts a process that ends inside a context
        self.graphs = DriverGraphs()

    def attempt(self, function, *arguments):
        try:
            return function(*arguments)
        except self.driver.Error as error:
            raise CudaError(f"CUDA: {error}") from None

    def driver_version(self):
        version = self.driver.get_driver_version()
        return version // 1000, version % 1000 // 10

    def device(self):
        return self.gpu.name(), tuple(self.gpu.compute_capability())

    def memory(self):
        return self.attempt(self.driver.mem_get_info)

    def allocate(self, nbytes):
        try:
            self.held.append(self.driver.mem_alloc(nbytes))
        except self.driver.MemoryError:
            raise no_memory(nbytes, *self.memory()) from None
        except self.driver.Error as error:
            raise CudaError(f"CUDA: {error}") from None
        return int(self.held[-1])

    def pinned(self, nbytes):
        return self.attempt(self.driver.pagelocked_empty, nbytes, np.uint8)

    def stream(self):
        return self.attempt(self.driver.Stream, NON_BLOCKING)

    def event(self, timed=False):
        flags = self.driver.event_flags
        return self.attempt(self.driver.Event, flags.DEFAULT if timed else flags.DISABLE_TIMING)

    def record(self, event, stream):
        self.attempt(event.record, stream)

    def wait(self, stream, event):
        self.attempt(stream.wait_for_event, event)

    def synchronize(self, event):
        self.attempt(event.synchronize)

    def elapsed_ms(self, start, end):
        return self.attempt(end.time_since, start)

    def upload(self, address, array, stream):
        self.attempt(self.driver.memcpy_htod_async, address, array, stream)

    def download(self, array, address, stream):
        self.attempt(self.driver.memcpy_dtoh_async, array, address, stream)

    def copy(self, to, source, nbytes, stream):
        self.attempt(self.driver.memcpy_dtod_async, to, source, nbytes, stream)

    def clear(self, address, nbytes, stream):
        self.attempt(self.driver.memset_d8_async, address, 0, nbytes, stream)

    def begin_capture(self, stream):
        self.graphs.begin(stream.handle)

    def end_capture(self, stream):
        return self.graphs.end(stream.handle)

    def launch(self, graph, stream):
        self.graphs.launch(graph, stream.handle)

    def close(self):
        if self.context is not None:
            self.held.clear()
            self.context.pop()
            self.context = None
            atexit.unregister(self.close)


class DriverGraphs:
    """Captured graphs through the driver library: what pycuda leaves out."""

    def __init__(self):
        try:
            self.library = ctypes.WinDLL("nvcuda.dll") if sys.platform == "win32" else ctypes.CDLL("libcuda.so.1")
        except OSError:
            raise CudaError(NO_DRIVER) from None

    def call(self, name: str, *arguments) -> None:
        if status := getattr(self.library, name)(*arguments):
            text = ctypes.c_char_p()
            self.library.cuGetErrorName(status, ctypes.byref(text))
            raise CudaError(f"CUDA: {name} failed: {(text.value or b'unknown').decode()}")

    def begin(self, stream: int) -> None:
        self.call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), THREAD_LOCAL)

    def end(self, stream: int) -> ctypes.c_void_p:
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        self.call("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        self.call("cuGraphDestroy", graph)
        return ready

    def launch(self, graph: ctypes.c_void_p, stream: int) -> None:
        self.call("cuGraphLaunch", graph, ctypes.c_void_p(stream))


class PythonStream:
    """cuda-python's stream, by the number that TensorRT wants."""

    def __init__(self, handle: int):
        self.handle = handle


class CudaPython:
    """The GPU through NVIDIA's cuda-python."""

    binding = "cuda-python"

    def __init__(self, number: int):
        from cuda.bindings import driver

        self.driver = driver
        try:
            driver.cuInit(0)
        except RuntimeError:  # the binding finds no driver library
            raise CudaError(NO_DRIVER) from None
        self.call(driver.cuInit, 0)
        if (count := self.call(driver.cuDeviceGetCount)) <= number:
            raise CudaError(f"no NVIDIA GPU number {number}: {count} found")
        self.gpu = self.call(driver.cuDeviceGet, number)

    def open(self):
        self.call(self.driver.cuCtxSetCurrent, self.call(self.driver.cuDevicePrimaryCtxRetain, self.gpu))

    def call(self, function, *arguments):
        """What a driver function returns besides its status."""
        try:
            status, *values = function(*arguments)
        except RuntimeError as error:  # the driver lacks a function that the binding knows
            raise CudaError(f"CUDA: {error}. Update the NVIDIA driver") from None
        if status != self.driver.CUresult.CUDA_SUCCESS:
            raise CudaError(f"CUDA: {function.__name__} failed: {status.name}")
        return values[0] if len(values) == 1 else tuple(values)

    def driver_version(self):
        version = self.call(self.driver.cuDriverGetVersion)
        return version // 1000, version % 1000 // 10

    def device(self):
        name = self.call(self.driver.cuDeviceGetName, 256, self.gpu)
        kinds = self.driver.CUdevice_attribute
        wanted = (
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
        return name.split(b"\0")[0].decode(), tuple(
            self.call(self.driver.cuDeviceGetAttribute, kind, self.gpu) for kind in wanted
        )

    def memory(self):
        return self.call(self.driver.cuMemGetInfo)

    def allocate(self, nbytes):
        status, address = self.driver.cuMemAlloc(nbytes)
        if status == OUT_OF_MEMORY:
            raise no_memory(nbytes, *self.memory())
        return int(self.call(lambda: (status, address)))

    def pinned(self, nbytes):
        address = self.call(self.driver.cuMemHostAlloc, nbytes, 0)
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(int(address)))

    def stream(self):
        return PythonStream(
            int(self.call(self.driver.cuStreamCreate, self.driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
        )

    def event(self, timed=False):
        flags = self.driver.CUevent_flags
        return self.call(self.driver.cuEventCreate, flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING)

    def record(self, event, stream):
        self.call(self.driver.cuEventRecord, event, stream.handle)

    def wait(self, stream, event):
        self.call(self.driver.cuStreamWaitEvent, stream.handle, event, 0)

    def synchronize(self, event):
        self.call(self.driver.cuEventSynchronize, event)

    def elapsed_ms(self, start, end):
        return self.call(self.driver.cuEventElapsedTime, start, end)

    def upload(self, address, array, stream):
        self.call(self.driver.cuMemcpyHtoDAsync, address, array.ctypes.data, array.nbytes, stream.handle)

    def download(self, array, address, stream):
        self.call(self.driver.cuMemcpyDtoHAsync, array.ctypes.data, address, array.nbytes, stream.handle)

    def copy(self, to, source, nbytes, stream):
        self.call(self.driver.cuMemcpyDtoDAsync, to, source, nbytes, stream.handle)

    def clear(self, address, nbytes, stream):
        self.call(self.driver.cuMemsetD8Async, address, 0, nbytes, stream.handle)

    def begin_capture(self, stream):
        self.call(self.driver.cuStreamBeginCapture, stream.handle, self.driver.CUstreamCaptureMode(THREAD_LOCAL))

    def end_capture(self, stream):
        graph = self.call(self.driver.cuStreamEndCapture, stream.handle)
        ready = self.call(self.driver.cuGraphInstantiate, graph, 0)
        self.call(self.driver.cuGraphDestroy, graph)
        return ready

    def launch(self, graph, stream):
        self.call(self.driver.cuGraphLaunch, graph, stream.handle)

    def close(self):
        self.call(self.driver.cuDevicePrimaryCtxRelease, self.gpu)  # memory goes with the last who holds the context


#: Tried in this order.
BINDINGS = (PyCuda, CudaPython)
