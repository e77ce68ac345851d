"""The table of backends, and choosing one."""

from __future__ import annotations

import importlib.util

from egostream.engine.contract import TENSORRT_MODULES, Backend
from egostream.errors import EgostreamError


def backend(name: str) -> Backend:
    """A backend by name. Raises EgostreamError when it is unknown or its library is not installed."""
    if name == "openvino":
        from egostream.engine.backend_openvino import BACKEND
    elif name == "onnxruntime":
        from egostream.engine.backend_onnxruntime import BACKEND
    elif name == "tensorrt":
        from egostream.engine.backend_tensorrt import BACKEND
    else:
        raise EgostreamError(f"no backend {name!r}; choose one of {', '.join(COMPILERS)}")
    try:
        BACKEND.version()
    except (ImportError, OSError) as error:  # missing, or a library that it needs is
        raise EgostreamError(f"backend {name} is not installed ({error}). Install it: {BACKEND.install}") from None
    return BACKEND


#: Those of any processor, best first.
BACKENDS = ("openvino", "onnxruntime")


#: Those that ``--backend`` may name.
COMPILERS = (*BACKENDS, "tensorrt")


def has_tensorrt() -> bool:
    """Whether either module of TensorRT is installed. They are large: neither is imported here."""
    return any(importlib.util.find_spec(name) for name in TENSORRT_MODULES)


def choose_backend(name: str) -> Backend:
    """``auto`` takes the first installed one of a processor's; a name takes that one or fails."""
    if name != "auto":
        return backend(name)
    for candidate in BACKENDS:
        try:
            return backend(candidate)
        except EgostreamError as error:
            reason = error
    raise EgostreamError(f"no backend is installed; last tried: {reason}")
