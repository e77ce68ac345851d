"""A checked run: what inference gets of it, and the part that a capture process gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egostream.calibration.file import Calibration
from egostream.calibration.view import InputGeometry
from egostream.config import RunConfig
from egostream.truth import Truth

if TYPE_CHECKING:  # a capture process imports no engine and no graph
    from egostream.engine.contract import EngineFile
    from egostream.graph.weights import Weights


@dataclass(frozen=True)
class StreamSetup:
    """One camera of a run."""

    config: RunConfig  # the run's settings, with this stream's own
    camera: Calibration
    truth: Truth | None = None  # of the clip that is played, when it lies beside it


@dataclass(frozen=True)
class CaptureSetup:
    """What the capture process of one stream gets: its camera, and what the network looks at."""

    stream: StreamSetup
    geometry: InputGeometry  # of the weights


@dataclass(frozen=True)
class RunSetup:
    """A checked run: handed to inference as it is."""

    config: RunConfig
    weights: Weights
    streams: tuple[StreamSetup, ...]
    engines: tuple[EngineFile, ...]

    def for_capture(self, number: int) -> CaptureSetup:
        """What the capture process of a stream gets. number: the stream's place in ``streams``."""
        return CaptureSetup(self.streams[number], self.weights.input)

    @property
    def precision(self) -> str:
        """Arithmetic of the engines: fp32, bf16, fp16 or int8."""
        return self.engines[0].fields["precision"]

    @property
    def backend(self) -> str:
        """Name of the backend that runs the engines."""
        return self.engines[0].fields["backend"]

    @property
    def motion(self) -> str:
        """When motion is computed: ``every-frame``, or at the ``trained-step`` by an engine of its own."""
        from egostream.graph.ports import POSE_GRAPH  # here, since a capture process imports no graph

        return "trained-step" if any(file.fields["graph"] == POSE_GRAPH for file in self.engines) else "every-frame"
