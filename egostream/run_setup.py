"""A checked run, as every process gets it."""

from __future__ import annotations

from dataclasses import dataclass

from egostream.calibration.file import Calibration
from egostream.config import RunConfig
from egostream.engine.contract import EngineFile
from egostream.graph.ports import POSE_GRAPH
from egostream.graph.weights import Weights
from egostream.truth import Truth


@dataclass(frozen=True)
class StreamSetup:
    """One camera of a run."""

    config: RunConfig  # the run's settings, with this stream's own
    camera: Calibration
    truth: Truth | None = None  # of the clip that is played, when it lies beside it


@dataclass(frozen=True)
class RunSetup:
    """A checked run: handed to all processes as it is."""

    config: RunConfig
    weights: Weights
    streams: tuple[StreamSetup, ...]
    engines: tuple[EngineFile, ...]

    @property
    def precision(self) -> str:
        return self.engines[0].fields["precision"]

    @property
    def backend(self) -> str:
        return self.engines[0].fields["backend"]

    @property
    def motion(self) -> str:
        return "trained-step" if any(file.fields["graph"] == POSE_GRAPH for file in self.engines) else "every-frame"
