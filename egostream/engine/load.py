"""Reading and checking manifests, and loading the engines beside them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from egostream.engine.backends import backend, gpu_backend, processor_backend
from egostream.engine.contract import SCHEMA, Backend, DeviceGraph, Engine, EngineManifest, GpuBackend
from egostream.errors import EgostreamError
from egostream.files import sha256_file

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
        manifest = msgspec.json.decode(path.read_bytes(), type=EngineManifest)
    except FileNotFoundError:
        raise EgostreamError(f"engine {engine} has no manifest {path.name}. {REBUILD}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise EgostreamError(f"engine manifest {path} is malformed: {error}. {REBUILD}") from None
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
    if not path.is_file() or sha256_file(path) != manifest.engine_sha256:
        raise EgostreamError(
            f"engine {path} is missing or not the file that its manifest describes (SHA-256). {REBUILD}"
        )
    if not runner.serves(manifest.device):
        raise EgostreamError(
            f"engine {path} was built for device {manifest.device}, this run has {runner.device()}. {REBUILD}"
        )
    return manifest


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
    """A value as errors print it: of a SHA-256, the first twelve digits."""
    text = str(value)
    return text[:12] if len(text) == 64 else text
