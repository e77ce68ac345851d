"""``--backend tensorrt``: the four graphs on a GPU, where each stream's past and everything between them stay.

For each batch size, one CUDA graph holds a whole step: one upload (frames, and the rows of the ring that fill their
windows), the heatmap graph beside the backbone and temporal graphs on a second stream, the decoder, one download
(joints, keypoints, confidences). Nothing is allocated and nothing captured after the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from egostream.calibration.view import CameraView
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.contract import DeviceGraph
from egostream.engine.cuda import Cuda
from egostream.errors import EgostreamError
from egostream.graph.gpu_form import KEPT, MOST_ROWS
from egostream.infer.batch import Batch, Lap, end_all, is_finite
from egostream.infer.estimator import Estimator
from egostream.infer.gpu_plans import GpuPlans, Plan, Travels, not_the_users
from egostream.infer.refine import Refiner
from egostream.infer.stream import stream_states
from egostream.types import NetworkInput, Pose, Stage

UPLOADED = ("frame", "rows", "valid")
DOWNLOADED = ("joints", "peaks", "heights")
#: Graphs that run beside the heatmap graph: neither needs anything of the other.
BESIDE = ("backbone", "temporal")


class GpuEstimator(Estimator):
    """Runs a whole step per batch on a GPU, where features and everything between a frame and its pose stay.

    graphs: the four, in the form for GPUs and in the order they depend on each other. cuda, on_progress: as
    ``GpuPlans`` takes them. sizes: batch sizes to prepare, one for all streams at least.
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
        self.gpu = GpuPlans(cuda, graphs, BESIDE, on_progress)
        self.manifest = manifest = graphs["temporal"].manifest
        self.streams = stream_states(manifest.window, step_ns, views, refiners)
        self.capacity = self.streams[0].window.capacity
        rows = self.capacity * len(self.streams)
        if rows > MOST_ROWS:
            raise EgostreamError(
                f"{len(views)} streams keep {rows} frames, engines take up to {MOST_ROWS}. Run fewer cameras"
            )
        self.kept = KEPT[manifest.temporal]
        self.row_bytes = int(np.prod(manifest.inputs["ring"][1][1:])) * np.dtype(np.float32).itemsize
        self.ring = cuda.allocate(rows * self.row_bytes)
        cuda.clear(self.ring, rows * self.row_bytes, self.gpu.main)  # rows not valid yet must be finite, too
        travels = Travels(UPLOADED, DOWNLOADED, {"ring": (self.ring, rows)})
        self.gpu.prepare(sizes or gpu_batch_sizes(len(views)), travels)
        self.most_at_once = self.gpu.largest

    def poses(self, frames: dict[int, NetworkInput]) -> Iterator[tuple[int, Pose]]:
        """Number of the stream and pose of every frame: all in one batch."""
        if not frames:
            return
        batch = list(frames.items())
        plan = self.gpu.plan_for(len(batch))
        laps = [Lap(frame) for _, frame in batch]
        for place, (number, frame) in enumerate(batch):
            self.put(plan.uploaded.arrays, place, number, frame)
        end_all(laps, Stage.WINDOW)
        with not_the_users():
            outputs = plan.run()
            end_all(laps, Stage.NETWORK)
            self.keep(plan, batch, outputs["joints"])
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
                source = plan.addresses[self.kept] + place * self.row_bytes
                self.gpu.cuda.copy(self.ring + row * self.row_bytes, source, self.row_bytes, self.gpu.main)

    def catch_up(self) -> None:
        """Nothing is left to do between poses: motion came with each."""

    def look(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps' peaks [15, 2] and heights [15] of an input that is no stream's."""
        plan = self.gpu.plan_for(1)
        plan.uploaded.arrays["frame"][0] = image
        with not_the_users():
            outputs = plan.run()
        return outputs["peaks"][0].astype(float), outputs["heights"][0].astype(float)

    def finished(self, batch: Batch, outputs: dict[str, np.ndarray], laps: list[Lap]) -> Iterator[tuple[int, Pose]]:
        """The poses of a batch that was run."""
        for place, ((number, frame), lap) in enumerate(zip(batch, laps)):
            joints, peaks, heights = (outputs[name][place] for name in DOWNLOADED)
            yield number, self.streams[number].pose(frame, joints, peaks.astype(float), heights.astype(float), lap)
