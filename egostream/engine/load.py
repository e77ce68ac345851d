"""Reading and checking manifests, and loading the engines beside them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from egostream.engine.backends import backend
from egostream.engine.contract import SCHEMA, Engine, EngineManifest
from egostream.errors import EgostreamError
from egostream.files import sha256_file

REBUILD = "Rebuild it: python tools/build_engine.py --help"


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
        raise EgostreamError(
            f"engine manifest {path} has schema {manifest.schema}, this egostream reads {SCHEMA}. {REBUILD}"
        )
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
    """Load an engine. It is native code: nothing of it is read before every check has passed."""
    manifest = check_engine(path, wanted)
    return backend(manifest.backend).load(path, manifest, threads), manifest


def shorten(value) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
