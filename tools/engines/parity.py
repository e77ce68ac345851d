"""How far an engine's outputs are from the PyTorch network's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.engine.backends import backend
from egostream.engine.build import engine_name, graph_for, record_parity
from egostream.engine.contract import Backend, DeviceGraph
from egostream.engine.cuda import Cuda, find_gpu
from egostream.engine.device_memory import Block, aligned
from egostream.engine.load import load_engine
from egostream.graph.gpu_form import ring_inputs
from egostream.graph.ports import GRAPHS, graph_io
from egostream.graph.weights import Weights
from tools.engines.emulate import emulated


def run_graph(cuda: Cuda, graph: DeviceGraph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run one graph once on inputs from the host: for comparing. Its memory is held until ``cuda`` is closed."""
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


def graphs_of(runner: Backend) -> tuple[str, ...]:
    """The four, and what a run of this backend loads besides."""
    return tuple(dict.fromkeys((*GRAPHS, *runner.runs)))


def measure_parity(
    weights: Weights, runner: Backend, precisions: list[str], batch: int, folder: Path, frames: np.ndarray, run
) -> dict:
    """{graph: {precision: {output: [largest, mean]}}} absolute differences from PyTorch fp32 on the same inputs.

    run: (engine, graph, precision, batches of inputs) -> outputs of each batch.
    """
    import torch

    from tools.network.build import load_network
    from tools.network.export import export_module
    from tools.network.reference import graph_inputs

    network = load_network(weights)
    parity: dict = {}
    for graph in graphs_of(runner):
        batches = graph_inputs(network, graph, frames, batch)
        module = export_module(network, graph).eval()
        with torch.no_grad():
            expected = [as_tuple(module(*map(torch.from_numpy, inputs.values()))) for inputs in batches]
        for precision in precisions:
            path = folder / engine_name(graph, runner, precision, batch)
            found = run(path, graph, precision, batches)
            figures = {}
            for i, name in enumerate(graph_io(graph, weights.temporal)[1]):
                error = np.stack([np.abs(f[name] - e[i].numpy()) for f, e in zip(found, expected)])
                figures[name] = [float(error.max()), float(error.mean())]
            parity.setdefault(graph, {})[precision] = figures
            record_parity(path, figures)
    return parity


def way_to_run(weights: Weights, runner: Backend, verify: bool):
    """How ``measure_parity`` runs an engine here. Raises EgostreamError when --verify has no GPU to do it on."""
    if runner.name != "tensorrt":
        return lambda path, graph, precision, batches: run_engine(path, weights, batches)
    if not verify:
        return lambda path, graph, precision, batches: run_emulated(weights, graph, runner, precision, batches)
    cuda = find_gpu()
    cuda.open()

    def run_on_gpu(path, graph, precision, batches):
        engine, _ = load_engine(path, {"weights_id": weights.id}, threads=0)
        return [run_graph(cuda, engine, ring_inputs(inputs)) for inputs in batches]

    return run_on_gpu


def as_tuple(outputs) -> tuple:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def run_engine(path: Path, weights: Weights, batches: list[dict]) -> list[dict[str, np.ndarray]]:
    """Outputs of a built engine for every batch of inputs."""
    engine, _ = load_engine(path, {"weights_id": weights.id}, threads=0)
    found = []
    for inputs in batches:
        engine.bind(inputs)
        found.append({name: value.copy() for name, value in engine.run().items()})
    return found


def run_emulated(
    weights: Weights, graph: str, runner, precision: str, batches: list[dict]
) -> list[dict[str, np.ndarray]]:
    """The same of the graph that TensorRT compiled, on the CPU."""
    model = emulated(runner.graph(graph_for(weights, graph, runner, precision), precision))
    session = backend("onnxruntime").session(model.SerializeToString())
    names = [output.name for output in model.graph.output]
    known = {port.name for port in model.graph.input}
    return [
        dict(zip(names, session.run(names, {k: v for k, v in ring_inputs(inputs).items() if k in known})))
        for inputs in batches
    ]
