"""Graphs on a GPU, with all that a batch needs of them as one CUDA graph for each batch size.

Each begins with one upload and ends with one download. Nothing is allocated and nothing captured after the start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from egostream.engine.contract import DeviceGraph
from egostream.engine.cuda import Cuda, CudaError, Stream
from egostream.engine.device_memory import Block, aligned


@dataclass(frozen=True)
class Travels:
    """Where the tensors of plans lie: what is copied from and to the host, and what stays on the device for good."""

    uploaded: Collection[str]  # names of inputs; those that no graph has are left out
    downloaded: Collection[str]  # names of outputs
    held: dict[str, tuple[int, int]] = field(default_factory=dict)  # name of an input -> its address and rows


class GpuPlans:
    """Graphs, and a plan for each batch size that runs them. ``prepare`` makes the plans.

    graphs: in the form for GPUs and in the order they depend on each other. cuda: opened by this thread. beside: those
    of the graphs that run on a second stream, beside all others but the last. on_progress: called between the steps of
    preparing, which may compile for minutes.
    """

    def __init__(
        self,
        cuda: Cuda,
        graphs: dict[str, DeviceGraph],
        beside: Collection[str] = (),
        on_progress: Callable[[], object] = lambda: None,
    ):
        self.cuda, self.graphs, self.on_progress = cuda, graphs, on_progress
        self.beside = [name for name in graphs if name in beside]
        self.main, self.side = cuda.stream(), cuda.stream()
        self.forked, self.joined, self.done = cuda.event(), cuda.event(), cuda.event()
        self.plans: list[Plan] = []

    def __iter__(self) -> Iterator[Plan]:
        """The plans, by ascending batch size."""
        return iter(self.plans)

    def prepare(self, sizes: Sequence[int], travels: Travels) -> None:
        """Make a plan for each of these batch sizes, ascending. Raises EgostreamError where the GPU has no room."""
        self.plans = [Plan(self, size, travels) for size in sizes]
        self.share_scratch()
        for plan in self.plans:
            plan.capture()
            self.on_progress()

    def share_scratch(self) -> None:
        """One scratch memory for each graph: its plans never run at once, the graphs may."""
        for name in self.graphs:
            nbytes = max(1, *(plan.steps[name].scratch_bytes for plan in self.plans))
            address = self.cuda.allocate(aligned(nbytes))
            for plan in self.plans:
                plan.steps[name].use_scratch(address, nbytes)

    @property
    def largest(self) -> int:
        """The largest batch size that there is a plan for."""
        return self.plans[-1].size

    def plan_for(self, count: int) -> Plan:
        """The smallest plan that takes so many frames. Its places beyond them keep what they had: nobody reads it."""
        return next(plan for plan in self.plans if plan.size >= count)

    def wait(self) -> None:
        """Wait for the main stream."""
        self.cuda.record(self.done, self.main)
        self.cuda.synchronize(self.done)


class Plan:
    """All graphs for one batch size, captured."""

    def __init__(self, gpu: GpuPlans, size: int, travels: Travels):
        self.gpu, self.size = gpu, size
        cuda, held, tensors = gpu.cuda, travels.held, {}
        for graph in gpu.graphs.values():
            for name, (dtype, shape) in (graph.manifest.inputs | graph.manifest.outputs).items():
                tensors[name] = dtype, ((held[name][1] if name in held else size), *shape[1:])
        self.uploaded = Block(cuda, {name: tensors[name] for name in travels.uploaded if name in tensors})
        self.downloaded = Block(cuda, {name: tensors[name] for name in travels.downloaded})
        self.addresses = {name: address for name, (address, _) in held.items()}
        self.addresses |= self.uploaded.addresses | self.downloaded.addresses
        for name, (dtype, shape) in tensors.items():
            if name not in self.addresses:
                self.addresses[name] = cuda.allocate(aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize))
        shapes = {name: shape for name, (_, shape) in tensors.items()}
        self.steps = {}
        for name, graph in gpu.graphs.items():
            self.steps[name] = graph.instance(shapes, self.addresses)
            gpu.on_progress()

    def enqueue(self) -> None:
        """Put everything from upload to download on the streams."""
        gpu, cuda = self.gpu, self.gpu.cuda
        if not gpu.beside:
            self.enqueue_in_turn()
            return
        main, side = gpu.main, gpu.side
        *others, last = (name for name in self.steps if name not in gpu.beside)
        cuda.upload(self.uploaded.device, self.uploaded.host, main)
        cuda.record(gpu.forked, main)
        cuda.wait(side, gpu.forked)
        for name in gpu.beside:
            self.steps[name].enqueue(side.handle)
        for name in others:
            self.steps[name].enqueue(main.handle)
        cuda.record(gpu.joined, side)
        cuda.wait(main, gpu.joined)
        self.steps[last].enqueue(main.handle)
        cuda.download(self.downloaded.host, self.downloaded.device, main)

    def enqueue_in_turn(self) -> None:
        """Everything from upload to download, one graph after the other on the main stream."""
        cuda, main = self.gpu.cuda, self.gpu.main
        cuda.upload(self.uploaded.device, self.uploaded.host, main)
        for step in self.steps.values():
            step.enqueue(main.handle)
        cuda.download(self.downloaded.host, self.downloaded.device, main)

    def copies(self) -> None:
        """Only the upload and the download: for measuring."""
        self.gpu.cuda.upload(self.uploaded.device, self.uploaded.host, self.gpu.main)
        self.gpu.cuda.download(self.downloaded.host, self.downloaded.device, self.gpu.main)

    def capture(self) -> None:
        """Run each graph once, so that everything is compiled, then record."""
        gpu, cuda = self.gpu, self.gpu.cuda
        cuda.upload(self.uploaded.device, self.uploaded.host, gpu.main)
        for step in self.steps.values():
            step.enqueue(gpu.main.handle)
            gpu.wait()
            gpu.on_progress()  # kernels may be compiled as late as here, for longer than a heartbeat may take
        self.graph = record(cuda, gpu.main, self.enqueue)

    def run(self) -> dict[str, np.ndarray]:
        """Run once on what ``uploaded.arrays`` holds; the outputs by name, as views that the next run overwrites.

        Raises CudaError.
        """
        self.gpu.cuda.launch(self.graph, self.gpu.main)
        self.gpu.wait()
        return self.downloaded.arrays


def record(cuda: Cuda, stream: Stream, work: Callable[[], None]) -> Any:
    """A CUDA graph of what ``work`` puts on ``stream``."""
    cuda.begin_capture(stream)
    try:
        work()
    except BaseException:
        with suppress(CudaError):
            cuda.end_capture(stream)  # or this thread could not even allocate any more
        raise
    return cuda.end_capture(stream)


@contextmanager
def not_the_users() -> Iterator[None]:
    """What goes wrong on a GPU at work is not the user's to mend: a fresh process may well do it.

    Raises RuntimeError for a CudaError inside.
    """
    try:
        yield
    except CudaError as error:
        raise RuntimeError(str(error)) from error
