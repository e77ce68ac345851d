"""Compiling graphs to engines: at first use, and for tools/build_engine.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from egostream.engine.contract import Backend, EngineFile, EngineManifest
from egostream.engine.load import check_engine, manifest_path, read_manifest, write_manifest
from egostream.errors import EgostreamError
from egostream.files import cache_folder, sha256_file, write_folder
from egostream.graph.bind import bind_graph
from egostream.graph.int8 import quantized
from egostream.graph.ports import COMPOSED_OF, STEP_GRAPH
from egostream.graph.scales import has_quantization, load_quantization
from egostream.graph.weights import Weights

#: What a folder of engines holds: graphs, engines of any backend and kernels compiled for them, manifests.
ENGINE_SUFFIXES = {".onnx", ".blob", ".engine", ".kernels", ".json"}


def engine_name(graph: str, backend: Backend, precision: str, batch: int) -> str:
    return f"{graph}.{backend.name}-{precision}-b{batch}{backend.suffix}"


def cached_engine_folder(weights: Weights, graphs: Iterable[str], backend: Backend, precision: str, batch: int) -> Path:
    """Where engines of some graphs are cached together. Backend version and device are checked by the manifest."""
    return cache_folder() / "engines" / weights.id[:16] / f"{'-'.join(graphs)}.{backend.name}-{precision}-b{batch}"


def check_precision(backend: Backend, precision: str) -> str:
    """A precision named by the user, if the backend can run it here."""
    available = backend.precisions()
    if precision not in available:
        raise EgostreamError(
            f"{backend.name} cannot run {precision} on {backend.device()}; choose --precision {' or '.join(available)}"
        )
    return precision


def available_precisions(weights: Weights, backend: Backend) -> list[str]:
    """What these weights can be compiled to here, best default first: int8 needs their scales."""
    return [precision for precision in backend.precisions() if precision != "int8" or has_quantization(weights)]


def graph_for(weights: Weights, graph: str, backend: Backend, precision: str, model=None):
    """The ONNX graph that a backend compiles for a precision: int8 has its Q/DQ nodes. ``model``: the bound graph, when at hand."""
    model = model or bind_graph(weights, graph)
    if precision != "int8":
        return model
    table = load_quantization(weights)
    scales = table.scales[STEP_GRAPH if graph in COMPOSED_OF else graph]  # its values are called as in the whole
    return quantized(model, scales, set(table.kept), backend.unsigned_int8)


def build_engine(
    weights: Weights, graph: str, backend: Backend, precision: str, batch: int, folder: Path, model=None
) -> Path:
    """Compile one graph into ``folder`` and write its manifest. ``model``: the bound graph, when at hand."""
    model = graph_for(weights, graph, backend, precision, model)
    path = folder / engine_name(graph, backend, precision, batch)
    try:
        inputs, outputs = backend.build(model, precision, batch, path)
    except OSError:
        raise
    except Exception as error:  # every backend has its own exception classes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EgostreamError(f"{backend.name} cannot compile the {graph} graph of {weights.folder}: {reason}") from None
    manifest = EngineManifest(
        graph=graph, backend=backend.name, backend_version=backend.version(), device=backend.device(), precision=precision,
        temporal=weights.temporal, window=weights.window, batch=batch, weights_id=weights.id, format=backend.format,
        engine_sha256=sha256_file(path), inputs=inputs, outputs=outputs, quantization=quantization_digest(weights, precision),
    )  # fmt: skip
    write_manifest(path, manifest)
    return path


def build_engines(
    weights: Weights, graphs: Iterable[str], backend: Backend, precision: str, batch: int, folder: Path
) -> None:
    """Compile several graphs into a new folder, whole or not at all."""

    def fill(staging: Path) -> None:
        for graph in graphs:
            build_engine(weights, graph, backend, precision, batch, staging)

    write_folder(folder, ENGINE_SUFFIXES, fill)


def record_parity(engine: Path, parity: dict) -> None:
    """Add measured parity to an engine's manifest."""
    write_manifest(engine, msgspec.structs.replace(read_manifest(engine), parity=parity))


def wanted_fields(weights: Weights, graph: str, backend: Backend, precision: str, batch: int) -> dict:
    """What an engine's manifest must say to serve this run."""
    return {"graph": graph, "backend": backend.name, "precision": precision, "batch": batch, "weights_id": weights.id,
            "temporal": weights.temporal, "window": weights.window, "quantization": quantization_digest(weights, precision)}  # fmt: skip


def quantization_digest(weights: Weights, precision: str) -> str:
    return load_quantization(weights).digest if precision == "int8" else ""


def engine_files(
    weights: Weights, graphs: Iterable[str], backend: Backend, precision: str, batch: int, folder: Path
) -> list[EngineFile]:
    """Where engines lie in a folder, and what their manifests must say."""
    return [
        EngineFile(
            folder / engine_name(graph, backend, precision, batch),
            wanted_fields(weights, graph, backend, precision, batch),
        )
        for graph in graphs
    ]


def ensure_engines(
    weights: Weights, graphs: Iterable[str], backend: Backend, precision: str, batch: int, say=lambda line: None
) -> list[EngineFile]:
    """The cached engines of some graphs, compiled first when there are none or one no longer fits."""
    folder = cached_engine_folder(weights, graphs, backend, precision, batch)
    files = engine_files(weights, graphs, backend, precision, batch, folder)
    if not all(manifest_path(file.path).exists() for file in files):
        streams = f", {batch} streams" if batch > 1 else ""
        say(
            f"compiling {weights.temporal} {'engine' if len(files) == 1 else 'engines'} ({backend.name} {precision}{streams}), once for these weights ..."
        )
        build_engines(weights, graphs, backend, precision, batch, folder)
        return files
    try:
        for file in files:
            check_engine(file.path, file.fields)
    except EgostreamError as error:
        say(f"compiling again: {error}")
        build_engines(weights, graphs, backend, precision, batch, folder)
    return files
