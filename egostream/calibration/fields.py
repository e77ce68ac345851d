"""Numbers out of a calibration file's fields, checked."""

from __future__ import annotations

import math
import reprlib
from typing import Any

import numpy as np

LEAST_SIDE = 16  # pixels of a frame; chosen by hand, not measured
LARGEST_SIDE = 32766  # pixels of a frame: OpenCV's ``remap`` takes no larger one
#: No number of a lens is larger; beyond it, sums of powers overflow. Chosen by hand; not measured.
LARGEST = 1e12
MOST_NUMBERS = 64  # of one field; the longest polynomial met has 25
#: Focal lengths in frame widths. A lens circle of half a turn over a sixth of the frame has 0.05; a view of 3 degrees
#: has 20.
FOCAL_RANGE = 0.05, 20.0
#: Longest to shortest focal length: of anamorphic pictures 2. Beyond, one of them is a slip.
FOCAL_ASPECT = 3.0


def number(value: Any) -> float:
    """A field's finite number, no larger than LARGEST. Raises ValueError for anything else, text of digits too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {shown(value)}")
    if not abs(value) <= LARGEST:  # also refuses what is not a number
        problem = "not finite" if isinstance(value, float) and not math.isfinite(value) else "absurdly large"
        raise ValueError(f"{problem}: {shown(value)}")
    return float(value)


def numbers(values: Any, count: int | None = None) -> tuple[float, ...]:
    """A field's list of finite numbers, ``count`` of them if given. Raises ValueError or TypeError."""
    if isinstance(values, np.ndarray):
        values = values.ravel().tolist()
    if not isinstance(values, list | tuple) or (count is not None and len(values) != count):
        raise ValueError(f"expected {count or 'a list of'} numbers, got {shown(values)}")
    if len(values) > MOST_NUMBERS:
        raise ValueError(f"{len(values)} numbers belong to no lens: {shown(values)}")
    return tuple(number(value) for value in values)


def shown(value: Any) -> str:
    """A value of a file as a message shows it: short, in one line, however deep it is."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def text_field(data: dict[str, Any], key: str, fallback: str) -> str:
    """A text of a file, or ``fallback`` where it has none. Raises ValueError for what cannot be written in a line."""
    value = data.get(key)
    if value is None or value == "":
        return fallback
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:  # surrogates are not printable
        raise ValueError(f"{key} must be one printable line, got {shown(value)}")
    return value


def pair(values: Any) -> tuple[float, float]:
    """A field's two finite numbers. Raises ValueError or TypeError."""
    first, second = numbers(values, 2)
    return first, second


def polynomial(values: Any) -> tuple[float, ...]:
    """Coefficients of a lens's polynomial, low to high order. Raises ValueError for fewer than two."""
    coefficients = numbers(values)
    if len(coefficients) < 2:
        raise ValueError(f"a polynomial of {len(coefficients)} coefficients describes no lens")
    return coefficients


def focal_and_center(data: dict[str, Any]) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy out of ``focal`` and ``center``, pixels. Raises KeyError, or ValueError for focal <= 0."""
    (fx, fy), (cx, cy) = pair(data["focal"]), pair(data["center"])
    return *focals(fx, fy), cx, cy


def focals(fx: float, fy: float) -> tuple[float, float]:
    """Two focal lengths. Raises ValueError when they are not positive, or belong to no one camera."""
    if min(fx, fy) <= 0:
        raise ValueError(f"focal must be positive, got {fx:g}, {fy:g}")
    if not 1 / FOCAL_ASPECT <= fx / fy <= FOCAL_ASPECT:
        raise ValueError(f"focal lengths {fx:g} and {fy:g} differ by more than any pixels' shape allows")
    return fx, fy


def image_size(values: Any) -> tuple[int, int]:
    """Width and height of a camera's frames, pixels. Raises ValueError unless they are whole and at least 16."""
    width, height = pair(values)
    if max(width, height) > LARGEST_SIDE:
        raise ValueError(f"size must be at most {LARGEST_SIDE} pixels a side, got {shown(values)}")
    if width < LEAST_SIDE or height < LEAST_SIDE or width % 1 or height % 1:
        raise ValueError(f"size must be [width, height] in whole pixels of at least {LEAST_SIDE}, got {shown(values)}")
    return int(width), int(height)
