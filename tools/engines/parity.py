"""How far an engine's outputs are from the PyTorch network's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.backends import choose_backend, installed
from egostream.engine.build import engine_name, graph_for, graph_precision, record_parity
from egostream.engine.contract import Backend, DeviceGraph, GpuBackend
from egostream.engine.cuda import Cuda, find_gpu
from egostream.engine.device_memory import Block, aligned
from egostream.engine.load import load_device_graph, load_engine
from egostream.graph.gpu_form import ring_inputs
from egostream.graph.ports import BODY_FORM, BODY_GRAPH, GRAPHS, LOOK_GRAPH, graph_io
from egostream.graph.weights import Weights
from tools.engines.emulate import emulated

#: Inputs or outputs of a graph by name.
Arrays = dict[str, np.ndarray]
#: Runs an engine: (its file, graph, precision, inputs of each batch) -> outputs of each batch.
Run = Callable[[Path, str, str, list[Arrays]], list[Arrays]]


def run_graph(cuda: Cuda, graph: DeviceGraph, inputs: Arrays) -> Arrays:
    """Run one graph once on inputs from the host, for comparing. Returns its outputs on the host.

    The memory that it takes on the GPU is held until ``cuda`` is closed.
    """
    stream, done, count = cuda.stream(), cuda.event(), len(next(iter(inputs.values())))
    wanted = graph.manifest.inputs
    tensors = {name: (dtype, inputs[name].shape) for name, (dtype, _) in wanted.items()}
    given = Block(cuda, tensors)
    for name in tensors:
        given.arrays[name][:] = inputs[name]
    found = Block(cuda, {name: (dtype, (count, *shape[1:])) for name, (dtype, shape) in graph.manifest.outputs.items()})
    step = graph.instance({name: shape for name, (_, shape) in tensors.items()}, given.addresses | found.addresses)
    step.use_scratch(cuda.allocate(aligned(max(1, step.scratch_bytes))), step.scratch_bytes)
    cuda.upload(given.device, given.host, stream)
    step.enqueue(stream.handle)
    cuda.download(found.host, found.device, stream)
    cuda.record(done, stream)
    cuda.synchronize(done)
    return {name: array.copy() for name, array in found.arrays.items()}


def graphs_of(weights: Weights, runner: Backend) -> tuple[str, ...]:
    """Names of the four graphs, and of those that a run of this backend loads besides; or all that runs of others."""
    return (LOOK_GRAPH, BODY_GRAPH) if weights.form == BODY_FORM else tuple(dict.fromkeys((*GRAPHS, *runner.runs)))


def backend_of(graph: str, runner: Backend) -> Backend:
    """Who runs a graph in runs of a backend: beside a GPU, the processor runs ``body``. Raises EgostreamError."""
    return choose_backend("auto") if runner.is_gpu and graph == BODY_GRAPH else runner


def measure_parity(
    weights: Weights,
    runner: Backend,
    precisions: list[str],
    batch_size: int,
    folder: Path,
    frames: np.ndarray,
    run: Run,
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """{graph: {precision: {output: [largest, mean]}}} absolute differences from PyTorch fp32 on the same inputs.

    folder: holds the engines, whose manifests get the figures as well. frames: uint8 RGB [n, 256, 256, 3]. run: from
    ``way_to_run``. Raises ImportError when PyTorch is not installed.
    """
    import torch

    from tools.network.build import load_network
    from tools.network.export import export_module
    from tools.network.reference import graph_inputs

    network = load_network(weights)
    parity: dict = {}
    for graph in graphs_of(weights, runner):
        batches = graph_inputs(network, graph, frames, batch_size)
        module = export_module(network, graph).eval()
        with torch.no_grad():
            expected = [as_tuple(module(*map(torch.from_numpy, inputs.values()))) for inputs in batches]
        for precision in precisions:
            compiler = backend_of(graph, runner)
            path = folder / engine_name(graph, compiler, graph_precision(graph, precision), batch_size)
            found = run(path, graph, precision, batches)
            figures = {}
            for i, name in enumerate(graph_io(graph, weights.form)[1]):
                error = np.stack([np.abs(f[name] - e[i].numpy()) for f, e in zip(found, expected)])
                figures[name] = [float(error.max()), float(error.mean())]
            parity.setdefault(graph, {})[precision] = figures
            record_parity(path, figures)
    return parity


def way_to_run_on_processor(weights: Weights) -> Run:
    """How ``measure_parity`` runs a processor's engines."""
    return lambda path, graph, precision, batches: run_engine(path, weights, batches)


def way_to_run_on_gpu(weights: Weights, runner: GpuBackend, verify: bool) -> Run:
    """How ``measure_parity`` runs a GPU's engines: on the GPU to ``verify``, else their graphs emulated on the CPU.

    Those of the processor beside it run as they are. Raises EgostreamError when there is no GPU to verify on.
    """
    if verify:
        cuda = find_gpu()
        cuda.open()

    def run(path: Path, graph: str, precision: str, batches: list[Arrays]) -> list[Arrays]:
        if not backend_of(graph, runner).is_gpu:
            return run_engine(path, weights, batches)
        if not verify:
            return run_emulated(weights, graph, runner, precision, batches)
        loaded = load_device_graph(path, {"weights_id": weights.id}, runner)
        return [run_graph(cuda, loaded, ring_inputs(inputs)) for inputs in batches]

    return run


def as_tuple(outputs: Any) -> tuple:
    """A module's outputs as a tuple, also when there is only one."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def run_engine(path: Path, weights: Weights, batches: list[Arrays]) -> list[Arrays]:
    """Outputs of a processor's engine for every batch of inputs. Raises EgostreamError when the engine does not fit."""
    engine, _ = load_engine(path, {"weights_id": weights.id}, threads=0)
    found: list[Arrays] = []
    for inputs in batches:
        engine.bind(inputs)
        found.append({name: value.copy() for name, value in engine.run().items()})
    return found


def run_emulated(
    weights: Weights, graph: str, runner: GpuBackend, precision: str, batches: list[Arrays]
) -> list[Arrays]:
    """Outputs for every batch of inputs of the graph that a GPU's backend compiles, emulated on the CPU."""
    model = emulated(runner.graph(graph_for(weights, graph, runner, precision), precision))
    session = installed(ONNXRUNTIME).session(model.SerializeToString())
    names = [output.name for output in model.graph.output]
    known = {port.name for port in model.graph.input}
    return [
        dict(zip(names, session.run(names, {k: v for k, v in ring_inputs(inputs).items() if k in known})))
        for inputs in batches
    ]
