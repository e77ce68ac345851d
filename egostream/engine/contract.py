"""Engines: a graph compiled by a backend, the manifest beside it, and the contract that every backend keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

SCHEMA = 1


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


TENSORRT_MODULES = ("tensorrt_rtx", "tensorrt")


class DeviceGraph(Protocol):
    """A loaded engine of a GPU."""

    manifest: EngineManifest

    def instance(self, shapes: dict[str, tuple], addresses: dict[str, int]) -> DeviceGraphInstance:
        """Ready for these shapes of its inputs, its inputs and outputs at these addresses. Raises EgostreamError."""

    def save_cache(self) -> None:
        """Keep what was compiled in this run for the next. Raises OSError."""


class DeviceGraphInstance(Protocol):
    scratch_bytes: int

    def use_scratch(self, address: int, nbytes: int) -> None:
        """Where its intermediates go; instances that never run at once may share it."""

    def enqueue(self, stream: int) -> None:
        """Put it on a CUDA stream."""
