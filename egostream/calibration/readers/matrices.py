"""Matrices as formats write them, and what camera matrices and OpenCV's distortion numbers mean."""

from __future__ import annotations

from typing import Any

from egostream.calibration.fields import focals, numbers, shown
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.mei import MeiLens, parse_mei
from egostream.calibration.pinhole import PinholeLens, opencv_distortion

#: A skew that is a rounding error, pixels.
NO_SKEW = 1e-9


def flat(value: Any) -> tuple[float, ...]:
    """All numbers of a matrix, row by row: of ``{rows, cols, data}``, of rows, or of one list. Raises ValueError."""
    if isinstance(value, dict):
        data = numbers(value["data"])
        for key in ("rows", "cols"):
            if not isinstance(value.get(key), int | float):
                raise ValueError(f"a matrix without {key}")
        if value["rows"] * value["cols"] != len(data):
            raise ValueError(f"a matrix of {value['rows']:g}x{value['cols']:g} with {len(data)} numbers")
        return data
    if isinstance(value, list | tuple) and value and all(isinstance(row, list | tuple) for row in value):
        return tuple(number for row in value for number in numbers(row))
    return numbers(value)


def camera_matrix(value: Any) -> tuple[float, float, float, float, float]:
    """fx, fy, cx, cy and skew of a camera matrix, pixels. Raises ValueError when it is none."""
    matrix = flat(value)
    if len(matrix) != 9:
        raise ValueError(f"a camera matrix has 9 numbers, got {len(matrix)}")
    fx, skew, cx, down, fy, cy, *last = matrix
    if abs(down) > NO_SKEW or last != [0, 0, 1]:
        raise ValueError(f"not a camera matrix: {shown(matrix)}")
    return *focals(fx, fy), cx, cy, skew if abs(skew) > NO_SKEW else 0.0


def pinhole(matrix: Any, distortion: Any) -> PinholeLens:
    """OpenCV's pinhole lens. Raises ValueError."""
    fx, fy, cx, cy, skew = camera_matrix(matrix)
    return PinholeLens(fx, fy, cx, cy, without_zeros(opencv_distortion(flat(distortion))), skew)


def without_zeros(distortion: tuple[float, ...]) -> tuple[float, ...]:
    """OpenCV's distortion numbers without any where all are zero: then the lens is an ideal pinhole."""
    return distortion if any(distortion) else ()


def fisheye(matrix: Any, distortion: Any) -> KannalaBrandtLens:
    """OpenCV's fisheye lens. Raises ValueError."""
    fx, fy, cx, cy, skew = camera_matrix(matrix)
    return KannalaBrandtLens(fx, fy, cx, cy, numbers(flat(distortion), 4), skew)


def omnidir(matrix: Any, distortion: Any, xi: float) -> MeiLens:
    """OpenCV's omnidirectional lens. Raises ValueError."""
    fx, fy, cx, cy, skew = camera_matrix(matrix)
    terms = numbers(flat(distortion), 4)
    return parse_mei({"focal": [fx, fy], "center": [cx, cy], "skew": skew, "xi": xi, "distortion": terms})
