"""``--backend tensorrt``: the four graphs on a GPU, where each stream's past and everything between them stay.

For each batch size, one CUDA graph holds a whole step: one upload (frames, and the rows of the ring that fill their
windows), the heatmap graph beside the backbone and temporal graphs on a second stream, the decoder, one download
(joints, keypoints, confidences). Nothing is allocated and nothing captured after the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from egostream.calibration.view import CameraView
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.contract import DeviceGraph
from egostream.engine.cuda import Cuda, CudaError, Stream
from egostream.engine.device_memory import Block, aligned
from egostream.errors import EgostreamError
from egostream.graph.gpu_form import KEPT, MOST_ROWS
from egostream.infer.batch import Batch, Lap, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose, Stage

UPLOADED = ("frame", "rows", "valid")
DOWNLOADED = ("joints", "peaks", "heights")


class Plan:
    """A whole step for one batch size, captured."""

    def __init__(self, worker: GpuEstimator, size: int):
        self.worker, self.size = worker, size
        cuda, tensors = worker.cuda, {}
        for graph in worker.graphs.values():
            for name, (dtype, shape) in (graph.manifest.inputs | graph.manifest.outputs).items():
                tensors[name] = dtype, ((worker.rows if name == "ring" else size), *shape[1:])
        self.uploaded = Block(cuda, {name: tensors[name] for name in UPLOADED if name in tensors})
        self.downloaded = Block(cuda, {name: tensors[name] for name in DOWNLOADED})
        between = {name: tensor for name, tensor in tensors.items() if name not in (*UPLOADED, *DOWNLOADED, "ring")}
        addresses = {
            name: cuda.allocate(aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize))
            for name, (dtype, shape) in between.items()
        }
        addresses |= self.uploaded.addresses | self.downloaded.addresses | {"ring": worker.ring}
        self.kept = addresses[worker.kept]
        shapes = {name: shape for name, (_, shape) in tensors.items()}
        self.steps = {}
        for name, graph in worker.graphs.items():
            self.steps[name] = graph.instance(shapes, addresses)
            worker.on_progress()

    def enqueue(self) -> None:
        """Put everything from upload to download on the two streams."""
        worker, cuda = self.worker, self.worker.cuda
        main, side = worker.main, worker.side
        cuda.upload(self.uploaded.device, self.uploaded.host, main)
        cuda.record(worker.forked, main)
        cuda.wait(side, worker.forked)
        for name in ("backbone", "temporal"):
            self.steps[name].enqueue(side.handle)
        self.steps["heatmap"].enqueue(main.handle)
        cuda.record(worker.joined, side)
        cuda.wait(main, worker.joined)
        self.steps["decoder"].enqueue(main.handle)
        cuda.download(self.downloaded.host, self.downloaded.device, main)

    def enqueue_in_turn(self) -> None:
        """Everything from upload to download, one graph after the other on the main stream: for measuring."""
        cuda, main = self.worker.cuda, self.worker.main
        cuda.upload(self.uploaded.device, self.uploaded.host, main)
        for step in self.steps.values():
            step.enqueue(main.handle)
        cuda.download(self.downloaded.host, self.downloaded.device, main)

    def copies(self) -> None:
        """Only the upload and the download: for measuring."""
        self.worker.cuda.upload(self.uploaded.device, self.uploaded.host, self.worker.main)
        self.worker.cuda.download(self.downloaded.host, self.downloaded.device, self.worker.main)

    def capture(self) -> None:
        """Run each graph once, so that everything is compiled, then record."""
        worker, cuda = self.worker, self.worker.cuda
        cuda.upload(self.uploaded.device, self.uploaded.host, worker.main)
        for step in self.steps.values():
            step.enqueue(worker.main.handle)
            worker.wait()
            worker.on_progress()  # kernels may be compiled as late as here, for longer than a heartbeat may take
        self.graph = record(cuda, worker.main, self.enqueue)

    def run(self) -> dict[str, np.ndarray]:
        """Run once on what ``uploaded.arrays`` holds; the outputs by name, as views that the next run overwrites."""
        self.worker.cuda.launch(self.graph, self.worker.main)
        self.worker.wait()
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


class GpuEstimator(Estimator):
    """Runs a whole step per batch on a GPU, where features and everything between a frame and its pose stay.

    graphs: the four, in the form for GPUs and in the order they depend on each other. cuda: opened by this thread.
    on_progress: called between the steps of preparing, which may compile for minutes. sizes: batch sizes to prepare,
    one for all streams at least.
    """

    motion = "every-frame"

    def __init__(
        self,
        cuda: Cuda,
        graphs: dict[str, DeviceGraph],
        step_ns: int,
        views: Sequence[CameraView],
        refiners: Sequence[Refiner] | None = None,
        on_progress: Callable[[], object] = lambda: None,
        sizes: Sequence[int] = (),
    ):
        self.on_progress = on_progress
        self.cuda, self.graphs = cuda, graphs
        self.manifest = manifest = graphs["temporal"].manifest
        self.streams = stream_states(manifest.window, step_ns, views, refiners)
        self.main, self.side = cuda.stream(), cuda.stream()
        self.forked, self.joined, self.done = cuda.event(), cuda.event(), cuda.event()
        self.capacity = self.streams[0].window.capacity
        self.rows = self.capacity * len(self.streams)
        if self.rows > MOST_ROWS:
            raise EgostreamError(
                f"{len(views)} streams keep {self.rows} frames, engines take up to {MOST_ROWS}. Run fewer cameras"
            )
        self.kept = KEPT[manifest.temporal]
        self.row_bytes = int(np.prod(manifest.inputs["ring"][1][1:])) * np.dtype(np.float32).itemsize
        self.ring = cuda.allocate(self.rows * self.row_bytes)
        cuda.clear(self.ring, self.rows * self.row_bytes, self.main)  # rows that are not valid yet must be finite, too
        self.plans = [Plan(self, size) for size in sizes or gpu_batch_sizes(len(views))]
        self.most_at_once = self.plans[-1].size
        self.share_scratch()
        for plan in self.plans:
            plan.capture()
            on_progress()

    def share_scratch(self) -> None:
        """One scratch memory for each graph: its plans never run at once, the graphs may."""
        for name in self.graphs:
            nbytes = max(1, *(plan.steps[name].scratch_bytes for plan in self.plans))
            address = self.cuda.allocate(aligned(nbytes))
            for plan in self.plans:
                plan.steps[name].use_scratch(address, nbytes)

    def wait(self) -> None:
        """Wait for the main stream."""
        self.cuda.record(self.done, self.main)
        self.cuda.synchronize(self.done)

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame: all in one batch."""
        if not frames:
            return
        batch = list(frames.items())
        plan = next(plan for plan in self.plans if plan.size >= len(batch))
        laps = [Lap(frame) for _, frame in batch]
        for place, (number, frame) in enumerate(batch):
            self.put(plan.uploaded.arrays, place, number, frame)
        end_all(laps, Stage.WINDOW)
        try:
            outputs = plan.run()
            end_all(laps, Stage.NETWORK)
            self.keep(plan, batch, outputs["joints"])
        except CudaError as error:
            raise RuntimeError(str(error)) from error  # not the user's to mend: a fresh process may well do it
        yield from self.finished(batch, outputs, laps)

    def put(self, inputs: dict[str, np.ndarray], place: int, number: int, frame: NetworkInput) -> None:
        """One frame and its window into the upload. Places beyond the batch keep what they had, and nobody reads it."""
        stream = self.streams[number]
        stream.enter(frame)
        rows, valid = stream.window.select(frame.t_capture_ns)
        inputs["frame"][place] = frame.image
        np.add(rows, number * self.capacity, out=inputs["rows"][place], casting="unsafe")
        inputs["valid"][place] = valid

    def keep(self, plan: Plan, batch: Batch, joints: np.ndarray) -> None:
        """Each frame's feature or state into its stream's part of the ring, before the next step reads it."""
        for place, (number, frame) in enumerate(batch):
            if is_finite(joints[place]):
                row = number * self.capacity + self.streams[number].window.keep(frame.t_capture_ns)
                self.streams[number].took_motion(frame.seq)
                self.cuda.copy(
                    self.ring + row * self.row_bytes, plan.kept + place * self.row_bytes, self.row_bytes, self.main
                )

    def catch_up(self) -> None:
        """Nothing is left to do between poses: motion came with each."""

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        plan = self.plans[0]
        plan.uploaded.arrays["frame"][0] = image
        try:
            outputs = plan.run()
        except CudaError as error:
            raise RuntimeError(str(error)) from error
        return outputs["peaks"][0].astype(float), outputs["heights"][0].astype(float)

    def finished(self, batch: Batch, outputs: dict[str, np.ndarray], laps: list[Lap]) -> Iterator[tuple[int, Pose]]:
        """The poses of a batch that was run."""
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            joints, peaks, heights = (outputs[name][place] for name in DOWNLOADED)
            yield number, self.streams[number].pose(frame, joints, peaks.astype(float), heights.astype(float), lap)
