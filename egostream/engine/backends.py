"""The table of backends, and choosing one.

A new backend is a module ``backend_<name>.py``, its name in the tuple below and its branch in the function beneath it.
"""

from __future__ import annotations

import importlib.util
from typing import TypeVar

from egostream.engine.contract import TENSORRT_MODULES, Backend, GpuBackend, ProcessorBackend
from egostream.errors import EgostreamError

#: Backends that run on any processor, best first.
PROCESSOR_BACKENDS = ("openvino", "onnxruntime")

#: Backends that run on a GPU.
GPU_BACKENDS = ("tensorrt",)

#: Names that ``--backend`` takes.
ALL_BACKENDS = (*PROCESSOR_BACKENDS, *GPU_BACKENDS)

AnyBackend = TypeVar("AnyBackend", bound=Backend)


def backend(name: str) -> Backend:
    """The backend of this name. Raises EgostreamError when there is none or its library is not installed."""
    return gpu_backend(name) if name in GPU_BACKENDS else processor_backend(name)


def processor_backend(name: str) -> ProcessorBackend:
    """The processor's backend of this name.

    Raises EgostreamError when there is none or its library is not installed.
    """
    if name == "openvino":
        from egostream.engine.backend_openvino import BACKEND as OPENVINO

        return installed(OPENVINO)
    if name == "onnxruntime":
        from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME

        return installed(ONNXRUNTIME)
    raise no_such_backend(name, PROCESSOR_BACKENDS if name in ALL_BACKENDS else ALL_BACKENDS)


def gpu_backend(name: str) -> GpuBackend:
    """The GPU's backend of this name, aimed at its default target.

    Raises EgostreamError when there is none or its library is not installed.
    """
    if name == "tensorrt":
        from egostream.engine.backend_tensorrt import TensorRTBackend

        return installed(TensorRTBackend())
    raise no_such_backend(name, GPU_BACKENDS if name in ALL_BACKENDS else ALL_BACKENDS)


def installed(found: AnyBackend) -> AnyBackend:
    """``found`` itself. Raises EgostreamError when its library is not installed."""
    try:
        found.version()
    except (ImportError, OSError) as error:  # missing, or a library that it needs is
        raise EgostreamError(f"backend {found.name} is not installed ({error}). Install it: {found.install}") from None
    return found


def no_such_backend(name: str, known: tuple[str, ...]) -> EgostreamError:
    """The error that names the backends there are."""
    return EgostreamError(f"no backend {name!r}; choose one of {', '.join(known)}")


def has_tensorrt() -> bool:
    """Whether either module of TensorRT is installed. They are large: neither is imported here."""
    return any(importlib.util.find_spec(name) for name in TENSORRT_MODULES)


def choose_backend(name: str) -> Backend:
    """The backend of this name; for ``auto`` the first processor's that is installed. Raises EgostreamError."""
    if name != "auto":
        return backend(name)
    for candidate in PROCESSOR_BACKENDS:
        try:
            return processor_backend(candidate)
        except EgostreamError as error:
            reason = error
    raise EgostreamError(f"no backend is installed; last tried: {reason}")
