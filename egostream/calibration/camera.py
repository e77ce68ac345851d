"""A calibrated camera."""

from __future__ import annotations

from dataclasses import dataclass, field

from egostream.calibration.lens import Lens

Row = tuple[float, float, float, float]
#: A transform of points: four rows, the last one 0 0 0 1.
Transform = tuple[Row, Row, Row, Row]


@dataclass(frozen=True)
class Calibration:
    """A camera: the size of its frames in pixels, and its lens."""

    name: str
    size: tuple[int, int]  # width, height
    lens: Lens
    layout: str = field(default="", compare=False)  # of the file it came from, for people
    warnings: tuple[str, ...] = field(default=(), compare=False)  # what its file, or its reader, says against it
    #: Points in the axes of joints (of the camera mounted upright: x right, y down, z forward) -> in the head's axes
    #: (OpenXR: x right, y up, z backward, from the point whose pose the headset tells). None: unknown.
    T_head_camera: Transform | None = None
