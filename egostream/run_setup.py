"""A checked run, as its processes get it. Types only: who reads them imports no engine and no graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egostream.calibration.file import Calibration
from egostream.calibration.mount import Mount
from egostream.calibration.view import CameraView, InputGeometry
from egostream.config import RunConfig
from egostream.truth import Truth

if TYPE_CHECKING:
    from egostream.engine.contract import EngineFile
    from egostream.graph.weights import Weights


@dataclass(frozen=True)
class StreamSetup:
    """One camera of a run."""

    config: RunConfig  # the run's settings, with this stream's own
    camera: Calibration  # of the frames as the camera delivers them
    truth: Truth | None = None  # of the clip that is played, when it lies beside it
    is_live: bool | None = None  # what the source was found to be; None: nobody looked
    recorded: tuple[Path, str] | None = None  # file and stream of a recording whose schedule of motion is kept to
    drops_frames: bool = True  # poses are not held up by motion, as frames would be lost: not at every-frame

    @property
    def mount(self) -> Mount:
        """What turns the camera's picture upright."""
        return Mount(self.config.rotate, self.config.flip)

    def view(self, geometry: InputGeometry) -> CameraView:
        """Where the network's input lies in the camera's picture. geometry: the weights' input."""
        return CameraView(geometry, self.camera, self.mount)


@dataclass(frozen=True)
class CaptureSetup:
    """What a capture process gets: its own camera, and the picture that the network wants of it."""

    stream: StreamSetup
    geometry: InputGeometry


@dataclass(frozen=True)
class RunSetup:
    """A checked run. The inference process gets it as it is."""

    config: RunConfig
    weights: Weights
    streams: tuple[StreamSetup, ...]
    engines: tuple[EngineFile, ...]

    @property
    def precision(self) -> str:
        """Arithmetic of the engines: fp32, bf16, fp16 or int8."""
        return self.engines[0].fields["precision"]

    @property
    def backend(self) -> str:
        """What runs the engines."""
        return self.engines[0].fields["backend"]

    @property
    def motion(self) -> str:
        """When motion is computed: with every frame, or at the trained step where poses have an engine of their own."""
        return "trained-step" if any(file.fields["graph"] == "pose" for file in self.engines) else "every-frame"

    def for_capture(self, number: int) -> CaptureSetup:
        """What the capture process of that stream gets."""
        return CaptureSetup(self.streams[number], self.weights.input)
