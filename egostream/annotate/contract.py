"""What every writer of poses promises, and what it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from egostream import __version__
from egostream.config import filter_name
from egostream.redact import without_password
from egostream.run_setup import RunSetup
from egostream.supervise.describe import description
from egostream.types import Pose


@dataclass(frozen=True)
class RecordingFacts:
    """What is true of all poses of a recording. Nothing in it depends on when or where it was annotated."""

    source: str  # as it was named, without passwords
    calibration: str  # name of the camera
    width: int  # of the delivered picture, pixels
    height: int
    rotate: int  # degrees clockwise that turn it upright, after the mirroring
    flip: bool  # whether it was mirrored back
    weights: str  # id (SHA-256)
    trained: bool  # false: the poses mean nothing
    temporal: str
    backend: str
    precision: str
    motion: str
    filter: str  # what smoothed the joints: off, one-euro, or zero-phase
    rays: bool  # whether joints were turned to their keypoints' rays
    stature_m: float  # that joints were scaled to; 0: unknown
    egostream: str = __version__
    calibration_json: str = field(default="", repr=False)  # the camera, and the settings, as a run describes itself
    settings_toml: str = field(default="", repr=False)

    def fields(self) -> dict[str, Any]:
        """As a mapping of plain values, without the two texts."""
        return {key: value for key, value in asdict(self).items() if key not in ("calibration_json", "settings_toml")}


def facts_of(setup: RunSetup, source: str, has_rays: bool, is_smoothed: bool) -> RecordingFacts:
    """The facts of a recording that a run estimates. is_smoothed: forward and backward, in place of the filter."""
    stream, weights, described = setup.streams[0], setup.weights, description(setup, 0)
    return RecordingFacts(
        source=without_password(source),
        calibration=stream.camera.name,
        width=stream.camera.size[0],
        height=stream.camera.size[1],
        rotate=stream.config.rotate,
        flip=stream.config.flip,
        weights=weights.id,
        trained=weights.trained,
        temporal=weights.temporal,
        backend=setup.backend,
        precision=setup.precision,
        motion=setup.motion,
        filter="zero-phase" if is_smoothed else filter_name(stream.config),
        rays=has_rays,
        stature_m=stream.config.stature,
        calibration_json=described["calibration"],
        settings_toml=described["config"],
    )


class PoseWriter(Protocol):
    """Writes the poses of one recording to one file. Errors of the disk are OSError.

    It is made with the path of a draft and the recording's facts. The draft gets its name after ``finish``.
    """

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Add the next frame's pose; all are finite, in the order of their frames.

        picture: the frame as the recording has it, BGR [H, W, 3] or encoded bytes [n]; None unless the format's line
        in ``formats.py`` asks for pictures.
        """

    def finish(self) -> None:
        """Write what is left, and close the file: it is complete."""

    def close(self) -> None:
        """Let the file go as it is. Closing one that is finished does nothing."""
