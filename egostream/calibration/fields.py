"""Numbers out of a calibration file's fields, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

LEAST_SIDE = 16  # pixels of a frame; chosen by hand, not measured


def numbers(values: Any, count: int | None = None) -> tuple[float, ...]:
    """A field's list of finite numbers, ``count`` of them if given. Raises ValueError or TypeError."""
    array = np.asarray(values, float)
    if array.ndim != 1 or (count is not None and array.size != count):
        raise ValueError(f"expected {count or 'a list of'} numbers, got {values!r:.60}")
    if not np.isfinite(array).all():
        raise ValueError(f"not finite: {values!r}")
    return tuple(array.tolist())


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
    if min(fx, fy) <= 0:
        raise ValueError(f"focal must be positive, got {data['focal']}")
    return fx, fy, cx, cy


def image_size(values: Any) -> tuple[int, int]:
    """Width and height of a camera's frames, pixels. Raises ValueError unless they are whole and at least 16."""
    width, height = pair(values)
    if width < LEAST_SIDE or height < LEAST_SIDE or width % 1 or height % 1:
        raise ValueError(f"size must be [width, height] in whole pixels of at least {LEAST_SIDE}, got {values!r}")
    return int(width), int(height)
