"""A calibrated camera."""

from __future__ import annotations

from dataclasses import dataclass, field

from egostream.calibration.lens import Lens


@dataclass(frozen=True)
class Calibration:
    """A camera: the size of its frames in pixels, and its lens."""

    name: str
    size: tuple[int, int]  # width, height
    lens: Lens
    layout: str = field(default="", compare=False)  # of the file it came from, for people
    warnings: tuple[str, ...] = field(default=(), compare=False)  # what its file, or its reader, says against it
