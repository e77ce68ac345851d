"""Compiling graphs to engines: at first use, and for tools/build_engine.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import onnx

from egostream.engine.contract import Backend, EngineFile, EngineManifest
from egostream.engine.load import check_engine, manifest_path, read_manifest, write_manifest
from egostream.errors import EgostreamError, first_line
from egostream.files import cache_folder, sha256_file, write_folder
from egostream.graph.bind import bind_graph
from egostream.graph.int8 import quantized
from egostream.graph.ports import BODY_GRAPH, COMPOSED_OF, STEP_GRAPH
from egostream.graph.scales import has_quantization, load_quantization
from egostream.graph.weights import Weights

#: What a folder of engines holds: graphs, engines of any backend and kernels compiled for them, manifests.
ENGINE_SUFFIXES = {".onnx", ".blob", ".engine", ".kernels", ".json"}


def engine_name(graph: str, runner: Backend, precision: str, batch_size: int) -> str:
    """The file name of an engine, which tells what it is."""
    return f"{graph}.{runner.name}-{precision}-b{batch_size}{runner.suffix}"


def cached_engine_folder(
    weights: Weights, graphs: Iterable[str], runner: Backend, precision: str, batch_size: int
) -> Path:
    """Where engines of some graphs are cached together. Backend version and device are checked by the manifest."""
    folder = f"{'-'.join(graphs)}.{runner.name}-{precision}-b{batch_size}"
    return cache_folder() / "engines" / weights.id[:16] / folder


def check_precision(runner: Backend, precision: str) -> str:
    """The precision itself, if the backend can run it here. Raises EgostreamError that names those it can run."""
    available = runner.precisions()
    if precision not in available:
        raise EgostreamError(
            f"{runner.name} cannot run {precision} on {runner.device()}; choose --precision {' or '.join(available)}"
        )
    return precision


def available_precisions(weights: Weights, runner: Backend) -> list[str]:
    """Precisions that these weights can be compiled to here, best default first: int8 needs their scales."""
    return [precision for precision in runner.precisions() if precision != "int8" or has_quantization(weights)]


def graph_for(
    weights: Weights, graph: str, runner: Backend, precision: str, model: onnx.ModelProto | None = None
) -> onnx.ModelProto:
    """The ONNX graph that a backend compiles for a precision of ``graph_precision``; int8 adds its Q/DQ nodes.

    model: the bound graph, when it is at hand. Raises EgostreamError when int8 is asked for and there are no scales.
    """
    model = model or bind_graph(weights, graph)
    if precision != "int8":
        return model
    table = load_quantization(weights)
    # A composed graph's values are called as in the whole step, whose scales therefore serve.
    scales = table.scales[STEP_GRAPH if graph in COMPOSED_OF else graph]  # ``look`` has its own
    return quantized(model, scales, set(table.kept), runner.unsigned_int8)


def graph_precision(graph: str, precision: str) -> str:
    """The precision of a graph in a run of this precision.

    What follows from the keypoints alone is small and computes metres out of unit vectors: it stays in fp32.
    """
    return "fp32" if graph == BODY_GRAPH else precision


def build_engine(
    weights: Weights,
    graph: str,
    runner: Backend,
    precision: str,
    batch_size: int,
    folder: Path,
    model: onnx.ModelProto | None = None,
) -> Path:
    """Compile one graph into ``folder``, write its manifest beside it, and return the engine's path.

    model: the bound graph, when it is at hand. Raises EgostreamError when the backend cannot compile the graph, OSError
    when the disk is full.
    """
    precision = graph_precision(graph, precision)
    model = graph_for(weights, graph, runner, precision, model)
    path = folder / engine_name(graph, runner, precision, batch_size)
    try:
        inputs, outputs = runner.build(model, precision, batch_size, path)
    except OSError:
        raise
    except Exception as error:  # every backend has its own exception classes
        reason = first_line(error)
        raise EgostreamError(f"{runner.name} cannot compile the {graph} graph of {weights.folder}: {reason}") from None
    manifest = EngineManifest(
        **wanted_fields(weights, graph, runner, precision, batch_size),
        backend_version=runner.version(),
        device=runner.device(),
        format=runner.format,
        engine_sha256=sha256_file(path),
        inputs=inputs,
        outputs=outputs,
    )
    write_manifest(path, manifest)
    return path


def build_engines(
    weights: Weights, graphs: Iterable[str], runner: Backend, precision: str, batch_size: int, folder: Path
) -> None:
    """Compile several graphs into a new folder, whole or not at all. Raises EgostreamError."""

    def fill(staging: Path) -> None:
        for graph in graphs:
            build_engine(weights, graph, runner, precision, batch_size, staging)

    write_folder(folder, ENGINE_SUFFIXES, fill)


def record_parity(engine: Path, parity: dict[str, list[float]]) -> None:
    """Add measured parity to an engine's manifest: output -> largest and mean absolute difference."""
    write_manifest(engine, msgspec.structs.replace(read_manifest(engine), parity=parity))


def wanted_fields(weights: Weights, graph: str, runner: Backend, precision: str, batch_size: int) -> dict[str, Any]:
    """What an engine's manifest must say to serve this run: field -> value. The field ``batch`` is the batch size."""
    return {
        "graph": graph,
        "backend": runner.name,
        "precision": precision,
        "batch": batch_size,
        "weights_id": weights.id,
        "temporal": weights.form,
        "window": weights.window,
        "quantization": quantization_digest(weights, precision),
    }


def quantization_digest(weights: Weights, precision: str) -> str:
    """SHA-256 of the scales that an engine of this precision depends on; empty unless it is int8."""
    return load_quantization(weights).digest if precision == "int8" else ""


def engine_files(
    weights: Weights, graphs: Iterable[str], runner: Backend, precision: str, batch_size: int, folder: Path
) -> list[EngineFile]:
    """Where engines of some graphs lie in a folder, and what their manifests must say. Nothing is read."""
    return [
        EngineFile(
            folder / engine_name(graph, runner, graph_precision(graph, precision), batch_size),
            wanted_fields(weights, graph, runner, graph_precision(graph, precision), batch_size),
        )
        for graph in graphs
    ]


def ensure_engines(
    weights: Weights,
    graphs: Iterable[str],
    runner: Backend,
    precision: str,
    batch_size: int,
    say: Callable[[str], object] = lambda line: None,
) -> list[EngineFile]:
    """The cached engines of some graphs, compiled first when one is missing or no longer fits. Raises EgostreamError.

    say: takes a line for the user before anything is compiled.
    """
    folder = cached_engine_folder(weights, graphs, runner, precision, batch_size)
    files = engine_files(weights, graphs, runner, precision, batch_size, folder)
    if not all(manifest_path(file.path).exists() for file in files):
        engines = "engine" if len(files) == 1 else "engines"
        streams = f", {batch_size} streams" if batch_size > 1 else ""
        say(f"compiling {weights.temporal} {engines} ({runner.name} {precision}{streams}), once for these weights ...")
        build_engines(weights, graphs, runner, precision, batch_size, folder)
        return files
    try:
        for file in files:
            check_engine(file.path, file.fields, runner)
    except EgostreamError as error:
        say(f"compiling again: {error}")
        build_engines(weights, graphs, runner, precision, batch_size, folder)
    return files
