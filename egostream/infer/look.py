"""Where the heatmaps of frames peak, by whoever runs their network: a processor's engines, or a GPU.

For networks without a backbone, which compute all else from these keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import numpy as np

from egostream.engine.contract import DeviceGraph, EngineManifest
from egostream.engine.cuda import Cuda
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.ports import LOOK_GRAPH
from egostream.infer.batch import EnginesBySize, bound
from egostream.infer.gpu_plans import GpuPlans, Travels, not_the_users

#: The heatmaps' peaks [15, 2] in heatmap coordinates and their heights [15] in 0..1.
Peaks = tuple[np.ndarray, np.ndarray]


class Look(Protocol):
    """Looks at frames."""

    manifest: EngineManifest
    sizes: Collection[int]  # how many frames it can look at together; 1 is among them

    def at(self, images: Sequence[np.ndarray]) -> list[Peaks]:
        """The peaks in each of these inputs, uint8 RGB [256, 256, 3], of which there are as many as ``sizes`` allow.

        They are not finite where the network failed.
        """


class LookOnProcessor:
    """The ``Look`` of engines on a processor."""

    def __init__(self, engines: EnginesBySize):
        self.runners, self.manifest = bound(engines), engines[1][1]
        self.sizes: Collection[int] = engines.keys()

    def at(self, images: Sequence[np.ndarray]) -> list[Peaks]:
        """The peaks in each of these inputs."""
        engine, inputs = self.runners[len(images)]
        for place, image in enumerate(images):
            inputs["frame"][place] = image
        return [heatmap_peaks(heatmaps) for heatmaps in engine.run()["heatmaps"]]


class LookOnGpu:
    """The ``Look`` of a GPU: one upload of the frames, one captured graph, and one download of peaks and heights.

    graph: ``look`` in the form for GPUs. cuda, on_progress: as ``GpuPlans`` takes them. sizes: batch sizes to prepare.
    """

    def __init__(
        self,
        cuda: Cuda,
        graph: DeviceGraph,
        sizes: Sequence[int],
        on_progress: Callable[[], object] = lambda: None,
    ):
        self.gpu, self.manifest = GpuPlans(cuda, {LOOK_GRAPH: graph}, on_progress=on_progress), graph.manifest
        self.gpu.prepare(sizes, Travels(["frame"], ["peaks", "heights"]))
        self.sizes: Collection[int] = range(1, self.gpu.largest + 1)

    def at(self, images: Sequence[np.ndarray]) -> list[Peaks]:
        """The peaks in each of these inputs. Raises RuntimeError when the GPU fails."""
        plan = self.gpu.plan_for(len(images))
        for place, image in enumerate(images):
            plan.uploaded.arrays["frame"][place] = image
        with not_the_users():
            outputs = plan.run()
        peaks, heights = (outputs[name][: len(images)].astype(float) for name in ("peaks", "heights"))
        return list(zip(peaks, heights))
