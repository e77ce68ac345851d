"""CUDA's driver, as much of it as a GPU worker needs: memory, copies, streams, events, captured graphs.

It goes through pycuda where that is installed, else through cuda-python; nothing else in egostream knows which. pycuda
(2026.1) has no captured graphs: with it, they go to the driver library itself. Addresses are plain integers, as
TensorRT takes them.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from egostream.errors import EgostreamError, first_line

INSTALL = "pip install cuda-bindings"
NO_DRIVER = "no NVIDIA driver is installed (libcuda). With an NVIDIA GPU, install it, then check: nvidia-smi"
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: apart from the default stream, which a capture would refuse
THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY

#: An event and a captured graph: the binding's own objects, which callers only hand back to it.
Event = Any
CapturedGraph = Any


class CudaError(EgostreamError):
    """Something that CUDA refused, in one line that says what to do."""


class Stream(Protocol):
    """Work on the GPU that is done in the order in which it was put there."""

    @property
    def handle(self) -> int:
        """CUDA's own number of the stream, as TensorRT takes it."""


class Cuda(Protocol):
    """One GPU. Not thread-safe: the context belongs to the thread that opened it. Every method raises CudaError.

    Before ``open``, only ``driver_version`` and ``device`` may be asked; they take no memory of the GPU's. Copies and
    everything else that takes a ``stream`` are put there and run later; the call returns at once.
    """

    binding: str  # the Python package that calls go through

    def open(self) -> None:
        """Make this thread's work go to the GPU. Needed before everything but ``driver_version`` and ``device``."""

    def driver_version(self) -> tuple[int, int]:
        """The CUDA version that the driver supports, (major, minor)."""

    def device(self) -> tuple[str, tuple[int, int]]:
        """Name and compute capability of the GPU: ("NVIDIA H100", (9, 0))."""

    def memory(self) -> tuple[int, int]:
        """Free and total bytes on the GPU."""

    def allocate(self, nbytes: int) -> int:
        """Address of ``nbytes`` new bytes of device memory, held as long as the process."""

    def pinned(self, nbytes: int) -> np.ndarray:
        """uint8 [nbytes] of page-locked host memory, held as long as the process."""

    def stream(self) -> Stream:
        """A new stream, which runs beside all others."""

    def event(self, timed: bool = False) -> Event:
        """A new event, which has not happened yet. timed: it also tells when it happens."""

    def record(self, event: Event, stream: Stream) -> None:
        """Let the event happen when everything that is on ``stream`` now is done."""

    def wait(self, stream: Stream, event: Event) -> None:
        """Hold what is put on ``stream`` from now on until the event has happened."""

    def synchronize(self, event: Event) -> None:
        """Block this thread until the event has happened."""

    def elapsed_ms(self, start: Event, end: Event) -> float:
        """Milliseconds between two timed events that have happened."""

    def upload(self, address: int, array: np.ndarray, stream: Stream) -> None:
        """Copy a pinned array to device memory."""

    def download(self, array: np.ndarray, address: int, stream: Stream) -> None:
        """Copy device memory into a pinned array, as many bytes as the array has."""

    def copy(self, to: int, source: int, nbytes: int, stream: Stream) -> None:
        """Copy from device memory to device memory."""

    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        """Set device memory to zero."""

    def begin_capture(self, stream: Stream) -> None:
        """Record what is put on ``stream``, and on streams that wait for it, instead of running it."""

    def end_capture(self, stream: Stream) -> CapturedGraph:
        """What was recorded since ``begin_capture``, ready to launch."""

    def launch(self, graph: CapturedGraph, stream: Stream) -> None:
        """Run a captured graph."""

    def close(self) -> None:
        """Give up the GPU and what was allocated there."""


def find_gpu(number: int = 0) -> Cuda:
    """The GPU of this number, not yet opened, through the first binding that is installed.

    Raises CudaError that says what is missing: a binding, the driver, or the GPU.
    """
    problems = []
    for binding in BINDINGS:
        try:
            return binding(number)
        except ImportError as error:
            problems.append(f"{binding.binding}: {first_line(error)}")
    raise CudaError(f"no binding to CUDA is installed ({'; '.join(problems)}). Install one: {INSTALL}")


def no_memory(nbytes: int, free: int, total: int) -> CudaError:
    """The error that says how much memory was wanted and how much there is, all in bytes."""
    return CudaError(
        f"out of GPU memory: {nbytes / 2**20:.0f} MiB more are needed, "
        f"{free / 2**20:.0f} of {total / 2**20:.0f} MiB are free. Close other programs, or run fewer cameras"
    )


class PyCuda:
    """The GPU through pycuda: a ``Cuda``, whose docstrings say what each method does."""

    binding = "pycuda"

    def __init__(self, number: int):
        import pycuda.driver as driver

        self.driver = driver
        self.held: list[Any] = []  # device memory, freed with its Python object
        self.context: Any = None
        try:
            driver.init()
            if driver.Device.count() <= number:
                raise CudaError(f"no NVIDIA GPU number {number}: {driver.Device.count()} found")
            self.gpu = driver.Device(number)
        except driver.Error as error:
            raise CudaError(f"no NVIDIA GPU can be used: {error}. Check the driver: nvidia-smi") from None

    def open(self) -> None:
        self.context = self.attempt(self.gpu.retain_primary_context)
        self.attempt(self.context.push)
        atexit.register(self.close)  # pycuda aborts a process that ends inside a context
        self.graphs = DriverGraphs()

    def attempt(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of pycuda returns. Raises CudaError in place of its own error."""
        try:
            return function(*arguments)
        except self.driver.Error as error:
            raise CudaError(f"CUDA: {error}") from None

    def driver_version(self) -> tuple[int, int]:
        version = self.driver.get_driver_version()
        return version // 1000, version % 1000 // 10

    def device(self) -> tuple[str, tuple[int, int]]:
        return self.gpu.name(), tuple(self.gpu.compute_capability())

    def memory(self) -> tuple[int, int]:
        return self.attempt(self.driver.mem_get_info)

    def allocate(self, nbytes: int) -> int:
        try:
            self.held.append(self.driver.mem_alloc(nbytes))
        except self.driver.MemoryError:
            raise no_memory(nbytes, *self.memory()) from None
        except self.driver.Error as error:
            raise CudaError(f"CUDA: {error}") from None
        return int(self.held[-1])

    def pinned(self, nbytes: int) -> np.ndarray:
        return self.attempt(self.driver.pagelocked_empty, nbytes, np.uint8)

    def stream(self) -> Stream:
        return self.attempt(self.driver.Stream, NON_BLOCKING)

    def event(self, timed: bool = False) -> Event:
        flags = self.driver.event_flags
        return self.attempt(self.driver.Event, flags.DEFAULT if timed else flags.DISABLE_TIMING)

    def record(self, event: Event, stream: Stream) -> None:
        self.attempt(event.record, stream)

    def wait(self, stream: Any, event: Event) -> None:
        self.attempt(stream.wait_for_event, event)  # pycuda's own stream has this method

    def synchronize(self, event: Event) -> None:
        self.attempt(event.synchronize)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        return self.attempt(end.time_since, start)

    def upload(self, address: int, array: np.ndarray, stream: Stream) -> None:
        self.attempt(self.driver.memcpy_htod_async, address, array, stream)

    def download(self, array: np.ndarray, address: int, stream: Stream) -> None:
        self.attempt(self.driver.memcpy_dtoh_async, array, address, stream)

    def copy(self, to: int, source: int, nbytes: int, stream: Stream) -> None:
        self.attempt(self.driver.memcpy_dtod_async, to, source, nbytes, stream)

    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        self.attempt(self.driver.memset_d8_async, address, 0, nbytes, stream)

    def begin_capture(self, stream: Stream) -> None:
        self.graphs.begin(stream.handle)

    def end_capture(self, stream: Stream) -> CapturedGraph:
        return self.graphs.end(stream.handle)

    def launch(self, graph: CapturedGraph, stream: Stream) -> None:
        self.graphs.launch(graph, stream.handle)

    def close(self) -> None:
        if self.context is not None:
            self.held.clear()
            self.context.pop()
            self.context = None
            atexit.unregister(self.close)


class DriverGraphs:
    """Captured graphs through the driver library: what pycuda leaves out."""

    def __init__(self) -> None:
        try:
            if sys.platform == "win32":
                self.library = ctypes.WinDLL("nvcuda.dll")
            else:
                self.library = ctypes.CDLL("libcuda.so.1")
        except OSError:
            raise CudaError(NO_DRIVER) from None

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver library. Raises CudaError with CUDA's name of what went wrong."""
        if status := getattr(self.library, name)(*arguments):
            text = ctypes.c_char_p()
            self.library.cuGetErrorName(status, ctypes.byref(text))
            raise CudaError(f"CUDA: {name} failed: {(text.value or b'unknown').decode()}")

    def begin(self, stream: int) -> None:
        """Record what is put on a stream, given by its handle, from now on."""
        self.call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), THREAD_LOCAL)

    def end(self, stream: int) -> ctypes.c_void_p:
        """What was recorded on a stream, given by its handle, ready to launch."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        self.call("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        self.call("cuGraphDestroy", graph)
        return ready

    def launch(self, graph: ctypes.c_void_p, stream: int) -> None:
        """Run a captured graph on a stream, given by its handle."""
        self.call("cuGraphLaunch", graph, ctypes.c_void_p(stream))


class PythonStream:
    """cuda-python's stream, by the number that TensorRT wants."""

    def __init__(self, handle: int):
        self.handle = handle


class CudaPython:
    """The GPU through NVIDIA's cuda-python: a ``Cuda``, whose docstrings say what each method does."""

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

    def open(self) -> None:
        self.call(self.driver.cuCtxSetCurrent, self.call(self.driver.cuDevicePrimaryCtxRetain, self.gpu))

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a driver function returns besides its status: nothing, a value, or a tuple. Raises CudaError."""
        try:
            status, *values = function(*arguments)
        except RuntimeError as error:  # the driver lacks a function that the binding knows
            raise CudaError(f"CUDA: {error}. Update the NVIDIA driver") from None
        if status != self.driver.CUresult.CUDA_SUCCESS:
            raise CudaError(f"CUDA: {function.__name__} failed: {status.name}")
        return values[0] if len(values) == 1 else tuple(values)

    def driver_version(self) -> tuple[int, int]:
        version = self.call(self.driver.cuDriverGetVersion)
        return version // 1000, version % 1000 // 10

    def device(self) -> tuple[str, tuple[int, int]]:
        name = self.call(self.driver.cuDeviceGetName, 256, self.gpu)
        kinds = self.driver.CUdevice_attribute
        wanted = (
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
        return name.split(b"\0")[0].decode(), tuple(
            self.call(self.driver.cuDeviceGetAttribute, kind, self.gpu) for kind in wanted
        )

    def memory(self) -> tuple[int, int]:
        return self.call(self.driver.cuMemGetInfo)

    def allocate(self, nbytes: int) -> int:
        status, address = self.driver.cuMemAlloc(nbytes)
        if status == OUT_OF_MEMORY:
            raise no_memory(nbytes, *self.memory())
        return int(self.call(lambda: (status, address)))

    def pinned(self, nbytes: int) -> np.ndarray:
        address = self.call(self.driver.cuMemHostAlloc, nbytes, 0)
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(int(address)))

    def stream(self) -> Stream:
        return PythonStream(
            int(self.call(self.driver.cuStreamCreate, self.driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
        )

    def event(self, timed: bool = False) -> Event:
        flags = self.driver.CUevent_flags
        return self.call(self.driver.cuEventCreate, flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING)

    def record(self, event: Event, stream: Stream) -> None:
        self.call(self.driver.cuEventRecord, event, stream.handle)

    def wait(self, stream: Stream, event: Event) -> None:
        self.call(self.driver.cuStreamWaitEvent, stream.handle, event, 0)

    def synchronize(self, event: Event) -> None:
        self.call(self.driver.cuEventSynchronize, event)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        return self.call(self.driver.cuEventElapsedTime, start, end)

    def upload(self, address: int, array: np.ndarray, stream: Stream) -> None:
        self.call(self.driver.cuMemcpyHtoDAsync, address, array.ctypes.data, array.nbytes, stream.handle)

    def download(self, array: np.ndarray, address: int, stream: Stream) -> None:
        self.call(self.driver.cuMemcpyDtoHAsync, array.ctypes.data, address, array.nbytes, stream.handle)

    def copy(self, to: int, source: int, nbytes: int, stream: Stream) -> None:
        self.call(self.driver.cuMemcpyDtoDAsync, to, source, nbytes, stream.handle)

    def clear(self, address: int, nbytes: int, stream: Stream) -> None:
        self.call(self.driver.cuMemsetD8Async, address, 0, nbytes, stream.handle)

    def begin_capture(self, stream: Stream) -> None:
        self.call(self.driver.cuStreamBeginCapture, stream.handle, self.driver.CUstreamCaptureMode(THREAD_LOCAL))

    def end_capture(self, stream: Stream) -> CapturedGraph:
        graph = self.call(self.driver.cuStreamEndCapture, stream.handle)
        ready = self.call(self.driver.cuGraphInstantiate, graph, 0)
        self.call(self.driver.cuGraphDestroy, graph)
        return ready

    def launch(self, graph: CapturedGraph, stream: Stream) -> None:
        self.call(self.driver.cuGraphLaunch, graph, stream.handle)

    def close(self) -> None:
        self.call(self.driver.cuDevicePrimaryCtxRelease, self.gpu)  # memory goes with the last who holds the context


#: Bindings in the order they are tried.
BINDINGS: tuple[type[PyCuda] | type[CudaPython], ...] = (PyCuda, CudaPython)
