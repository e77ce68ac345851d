"""What a program tells of a frame, checked, and as the network takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import UNSET

from egostream.config import STATURES
from egostream.errors import EgostreamError
from egostream.told import TOLD_PARTS, VALUES, Told

#: Metres that lengths may have. Nobody's camera is 5 m over the floor that its wearer stands on.
LIMITS = {"height": (0.0, 5.0), "stature": STATURES}


def plain_told(told: Told) -> Told:
    """What somebody told, of arrays or of any numbers, as the network takes it; gravity gets the length 1.

    Raises EgostreamError that names what is none: not finite, of another shape, a gravity of no direction, a velocity
    without its rate, a height or stature that nobody has.
    """
    if not isinstance(told, Told):
        raise EgostreamError(f"told is {type(told).__name__}; give egostream.Told(gravity=..., height=...)")
    if (told.velocity is UNSET) != (told.rate is UNSET):
        raise EgostreamError("told has one of velocity and rate; give both, or neither")
    known = {name: value for name in VALUES if (value := getattr(told, name)) is not UNSET}
    return Told(**{name: plain_value(name, value) for name, value in known.items()})


def plain_value(name: str, value: Any) -> Any:
    """One part of what is told: a tuple of three floats, or a float. Raises EgostreamError."""
    size = TOLD_PARTS[name].stop - TOLD_PARTS[name].start
    try:
        row = np.asarray(value, float)
    except (TypeError, ValueError):
        row = np.full(0, np.nan)
    if row.shape != ((size,) if size > 1 else ()) or not np.isfinite(row).all():
        shown = " ".join(str(value).split())[:80]
        what = f"{size} finite numbers" if size > 1 else "a finite number"
        raise EgostreamError(f"told.{name} is {shown}; give {what}")
    if name == "gravity":
        length = float(np.linalg.norm(row))
        if length == 0:
            raise EgostreamError("told.gravity is 0 0 0, which is no direction; leave it out where it is unknown")
        row = row / length
    if name in LIMITS and not LIMITS[name][0] <= row <= LIMITS[name][1]:
        low, high = LIMITS[name]
        raise EgostreamError(f"told.{name} is {value}; give metres, from {low} to {high}")
    return tuple(row.tolist()) if size > 1 else float(row)
