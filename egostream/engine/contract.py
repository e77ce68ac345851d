"""Engines: a graph compiled by a backend, the manifest beside it, and the contract that every backend keeps."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from egostream.errors import EgostreamError
from egostream.graph.weights import sha256_file

SCHEMA = 1
REBUILD = "Rebuild it: python tools/build_engine.py --help"


class EngineManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine file is, written beside it as ``<engine>.json`` and checked before the engine is loaded."""

    graph: str
    backend: str
    backend_version: str
    device: str  # processor or GPU it was compiled on
    precision: str  # arithmetic inside: fp32, bf16, ...
    temporal: str
    window: int
    batch: int  # streams, N of every input
    weights_id: str
    engine_sha256: str
    inputs: dict[str, list]  # name -> [dtype, shape]
    outputs: dict[str, list]
    format: int = 1  # of the backend's engine files
    quantization: str = ""  # SHA-256 of the scales, of an int8 engine
    parity: dict = {}  # largest and mean absolute difference per output, when it was measured
    schema: int = SCHEMA


@dataclass(frozen=True)
class EngineFile:
    """An engine that a run will load: where it lies, and what its manifest must say."""

    path: Path
    fields: dict


class Engine(Protocol):
    """A loaded engine. Inputs are arrays that the caller owns and writes in place."""

    parts: int  # that a run of it has: 1, if it can only be run as a whole

    def bind(self, arrays: dict[str, np.ndarray]) -> None:
        """Read inputs from these C-contiguous arrays at every run."""

    def run(self) -> dict[str, np.ndarray]:
        """Run once; outputs by name, as views that the next run overwrites."""

    def run_parts(self) -> Iterator[dict[str, np.ndarray] | None]:
        """The same, a part each time that it is asked for the next; the last gives the outputs. Inputs stay as they are until then."""


class Backend(Protocol):
    """One way of compiling and running graphs. Each ``backend_*`` module has one, named ``BACKEND``."""

    name: str
    install: str  # the command that installs it
    suffix: str  # of its engine files
    format: int  # of their bytes, where the library's own version does not say it
    runs: tuple[str, ...]  # graphs that runs load
    unsigned_int8: bool  # whether it takes uint8 for what is never negative
    int8_pays: bool  # whether its int8 is known to be faster than its best floating point

    def version(self) -> str:
        """Version of the library. Raises ImportError when it is not installed."""

    def device(self) -> str:
        """The processor or GPU that engines are compiled for."""

    def serves(self, device: str) -> bool:
        """Whether an engine compiled for ``device`` can run here. Raises EgostreamError when nothing can."""

    def precisions(self) -> list[str]:
        """What it can run here, best default first."""

    def build(self, model, precision: str, batch: int, path: Path) -> tuple[dict, dict]:
        """Compile an ONNX model to ``path``; returns the manifest's inputs and outputs."""

    def load(self, path: Path, manifest: EngineManifest, threads: int) -> Engine:
        """Load an engine whose manifest was checked. TensorRT's is a ``gpu.DeviceGraph`` instead."""


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
TENSORRT_MODULES = ("tensorrt_rtx", "tensorrt")
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


def manifest_path(engine: Path) -> Path:
    return engine.with_name(engine.name + ".json")


def write_manifest(engine: Path, manifest: EngineManifest) -> None:
    manifest_path(engine).write_text(json.dumps(msgspec.to_builtins(manifest), indent=2) + "\n")


def read_manifest(engine: Path) -> EngineManifest:
    path = manifest_path(engine)
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=EngineManifest)
    except FileNotFoundError:
        raise EgostreamError(f"engine {engine} has no manifest {path.name}. {REBUILD}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise EgostreamError(f"engine manifest {path} is malformed: {error}. {REBUILD}") from None
    if manifest.schema != SCHEMA:
        raise EgostreamError(f"engine manifest {path} has schema {manifest.schema}, this egostream reads {SCHEMA}. {REBUILD}")
    return manifest


def check_engine(path: Path, wanted: dict[str, object]) -> EngineManifest:
    """The manifest of an engine, after checking that it says what is wanted and that the file's bytes are its own.

    ``wanted`` maps manifest fields to values; the installed library's version is added to them, and the device is checked.
    """
    manifest = read_manifest(path)
    runner = backend(manifest.backend)
    wanted = {**wanted, "backend_version": runner.version(), "format": runner.format}
    for field, value in wanted.items():
        if (found := getattr(manifest, field)) != value:
            raise EgostreamError(f"engine {path} was built for {field} {shorten(found)}, this run has {shorten(value)}. {REBUILD}")
    if not path.is_file() or sha256_file(path) != manifest.engine_sha256:
        raise EgostreamError(f"engine {path} is missing or not the file that its manifest describes (SHA-256). {REBUILD}")
    if not runner.serves(manifest.device):
        raise EgostreamError(f"engine {path} was built for device {manifest.device}, this run has {runner.device()}. {REBUILD}")
    return manifest


def load_engine(path: Path, wanted: dict[str, object], threads: int) -> tuple[Engine, EngineManifest]:
    """Load an engine. It is native code: nothing of it is read before every check has passed."""
    manifest = check_engine(path, wanted)
    return backend(manifest.backend).load(path, manifest, threads), manifest


def shorten(value) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
