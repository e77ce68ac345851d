"""Reading and checking manifests, and loading the engines beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from egostream.engine.backends import backend, gpu_backend, processor_backend
from egostream.engine.contract import SCHEMA, Backend, DeviceGraph, Engine, EngineManifest, GpuBackend, Ports
from egostream.errors import EgostreamError, first_line, printable
from egostream.files import read_small, sha256_file
from egostream.graph.ports import FIXED_SHAPES, gpu_io, graph_io

#: NumPy's names of what engines take and give.
PORT_DTYPES = ("uint8", "int32", "int64", "bool", "float16", "float32")
REBUILD = "Rebuild it: python tools/build_engine.py --help"


def manifest_path(engine: Path) -> Path:
    """Where the manifest of an engine file lies: beside it."""
    return engine.with_name(engine.name + ".json")


def write_manifest(engine: Path, manifest: EngineManifest) -> None:
    """Write the manifest of an engine file beside it. Raises OSError."""
    manifest_path(engine).write_text(json.dumps(msgspec.to_builtins(manifest), indent=2) + "\n")


def read_manifest(engine: Path) -> EngineManifest:
    """The manifest beside an engine file. Raises EgostreamError when it is missing, malformed or of another schema."""
    path = manifest_path(engine)
    try:
        manifest = msgspec.json.decode(read_small(path), type=EngineManifest)
    except FileNotFoundError:
        lacks = f"{engine} has no manifest {path.name}" if engine.is_file() else f"{engine} is not there"
        raise EgostreamError(f"engine {lacks}. {REBUILD}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise EgostreamError(f"engine manifest {path} is malformed: {first_line(error)}. {REBUILD}") from None
    if manifest.schema != SCHEMA:
        raise EgostreamError(
            f"engine manifest {path} has schema {manifest.schema}, this egostream reads {SCHEMA}. {REBUILD}"
        )
    return manifest


def check_engine(path: Path, wanted: dict[str, object], runner: Backend | None = None) -> EngineManifest:
    """The manifest of an engine, after checking that it says what is wanted and that the file's bytes are its own.

    ``wanted`` maps manifest fields to values; the installed library's version is added to them, and the device is
    checked. runner: the backend that will load the engine; None: the one that the manifest names.
    Raises EgostreamError.
    """
    manifest = read_manifest(path)
    runner = runner or backend(manifest.backend)
    wanted = {**wanted, "backend_version": runner.version(), "format": runner.format}
    for field, value in wanted.items():
        if (found := getattr(manifest, field)) != value:
            raise EgostreamError(
                f"engine {path} was built for {field} {shorten(found)}, this run has {shorten(value)}. {REBUILD}"
            )
    if problem := ports_problem(manifest, runner.is_gpu):
        raise EgostreamError(f"engine manifest {manifest_path(path)} is malformed: {problem}. {REBUILD}")
    if not path.is_file() or sha256_file(path) != manifest.engine_sha256:
        raise EgostreamError(
            f"engine {path} is missing or not the file that its manifest describes (SHA-256). {REBUILD}"
        )
    if not runner.serves(manifest.device):
        raise EgostreamError(
            f"engine {path} was built for device {manifest.device}, this run has {runner.device()}. {REBUILD}"
        )
    return manifest


def ports_problem(manifest: EngineManifest, is_gpu: bool) -> str:
    """Why a manifest's inputs or outputs are not those of its graph, in words; empty when they are."""
    try:
        wanted = (gpu_io if is_gpu else graph_io)(manifest.graph, manifest.temporal)
    except KeyError:
        return f"there is no graph {manifest.graph!r} of temporal form {manifest.temporal!r}"
    for kind, ports, names in zip(("input", "output"), (manifest.inputs, manifest.outputs), wanted):
        if odd := sorted(set(ports) ^ set(names)):
            state = "unknown" if odd[0] in ports else "missing"
            return f"{kind} {odd[0]!r} is {state}; a {manifest.graph} graph has {', '.join(names)}"
        if problem := first_problem(ports, manifest.batch):
            return problem
    return ""


def first_problem(ports: Ports, batch_size: int) -> str:
    """What is wrong with the first of these inputs or outputs that is none, in words; empty when all may be some."""
    for name, port in ports.items():
        if len(port) != 2 or port[0] not in PORT_DTYPES or not is_shape(port[1]):
            return f"{name!r} is {shorten(port)}, not a dtype and a shape"
        if name in FIXED_SHAPES and tuple(port[1]) != (batch_size, *FIXED_SHAPES[name]):
            return f"{name!r} has shape {port[1]}, not {[batch_size, *FIXED_SHAPES[name]]}"
    return ""


def is_shape(value: object) -> bool:
    """Whether a value is a list of sizes. -1 stands for any number, of a ring's rows."""
    return isinstance(value, Iterable) and all(type(size) is int and (size > 0 or size == -1) for size in value)


def load_engine(path: Path, wanted: dict[str, object], threads: int) -> tuple[Engine, EngineManifest]:
    """Load a processor's engine, after every check of ``check_engine``: it is native code, nothing is read before.

    threads: 0 leaves the number to the backend. Raises EgostreamError.
    """
    manifest = check_engine(path, wanted)
    return processor_backend(manifest.backend).load(path, manifest, threads), manifest


def load_device_graph(path: Path, wanted: dict[str, object], runner: GpuBackend | None = None) -> DeviceGraph:
    """Load a GPU's engine, after every check of ``check_engine``: it is native code, nothing is read before.

    runner: the backend to load it by; None: the one that the manifest names. A CUDA context must be open. Raises
    EgostreamError.
    """
    manifest = check_engine(path, wanted, runner)
    return (runner or gpu_backend(manifest.backend)).load(path, manifest)


def shorten(value: object) -> str:
    """A value as errors print it: of a SHA-256 the first twelve digits, and never much."""
    text = str(value)
    return printable(text[:12] if len(text) == 64 else text[:80])
