"""Scaramuzza's omnidirectional polynomial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.fields import number, numbers, pair, polynomial
from egostream.calibration.lens import (
    MAX_THETA,
    center_problem,
    monotone_limit,
    radial_offsets,
    radial_pixels,
    reach_problem,
)

#: Largest angle between the two polynomials, degrees. The canonical lens's differ by a millionth of a degree.
#: The limit itself was chosen by hand; not measured.
MAX_DISAGREEMENT_DEG = 1.0
#: Affine terms (c, d, e) of a lens that stands straight before square pixels.
STRAIGHT = (1.0, 0.0, 0.0)
#: Affine terms this close to STRAIGHT are left out of a dataset's file, as the dataset's own readers leave them out:
#: those of EgoPW, SceneEgo and Ego4View lie within 3.4e-4. Larger ones are used. 5e-4 is 0.25 px at a radius of 500 px.
DATASETS_LEAVE_OUT = 5e-4


@dataclass(frozen=True)
class OcamLens:
    """Scaramuzza's omnidirectional polynomial, as EgoPW and SceneEgo store it.

    Project:   t = atan(-Z/n), rho = sum_i w[i] t^i, (x, y) = rho (X, Y)/n; on the axis (0, 0);
               u = x + e y + cx, v = d x + c y + cy.
    Unproject: (x, y) from (u, v), r = hypot(x, y), z = sum_i a[i] r^i, ray = (x, y, -z)/norm.
    Source: Scaramuzza et al., "A toolbox for easily calibrating omnidirectional cameras", IROS 2006; OCamCalib's
    ``world2cam``. Its first axis runs down the rows, so that c and d there make the row, e and 1 the column.
    """

    cx: float
    cy: float
    w: tuple[float, ...]  # world to camera, low to high order, pixels per radian^i
    a: tuple[float, ...]  # camera to world, low to high order
    affine: tuple[float, ...] = STRAIGHT  # c, d, e
    end: float = float(MAX_THETA)  # largest theta for which w was fitted, radians

    @property
    def focal(self) -> tuple[float, float]:
        """Scale of the image along u and v: the polynomials are in pixels already, c stretches the rows."""
        return 1.0, self.affine[0]

    @property
    def is_symmetric(self) -> bool:
        """Whether d and e are zero: rho depends on theta alone."""
        return not any(self.affine[1:])

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis up to which the image radius grows, radians."""
        return monotone_limit(lambda theta: polyval(theta - np.pi / 2, polyder(self.w)), self.end)

    @cached_property
    def max_radius(self) -> float:
        """Image radius at ``max_theta``, pixels."""
        return float(self.radius(np.array(self.max_theta)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """Image radius [...] in pixels at angles theta [...] from the optical axis, radians."""
        return polyval(theta - np.pi / 2, self.w)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        if self.affine == STRAIGHT:
            return radial_pixels(points, self.radius, (1.0, 1.0), (self.cx, self.cy), self.max_theta)
        flat, valid = radial_pixels(points, self.radius, (1.0, 1.0), (0.0, 0.0), self.max_theta)
        return flat @ self.stretch.T + (self.cx, self.cy), valid

    @cached_property
    def stretch(self) -> np.ndarray:
        """Matrix [2, 2] from offsets on a straight sensor to offsets on this one."""
        c, d, e = self.affine
        return np.array([[1.0, e], [d, c]])

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        offset, r, finite = radial_offsets(pixels, (1.0, 1.0), (self.cx, self.cy))
        if self.affine != STRAIGHT:
            offset = offset @ np.linalg.inv(self.stretch).T
            r = np.hypot(offset[..., 0], offset[..., 1])
        valid = (r <= self.max_radius) & finite
        z = polyval(np.minimum(r, self.max_radius), self.a)
        rays = np.concatenate([offset, -z[..., None]], -1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        reach = min(np.pi / 2, self.max_theta)
        return center_problem(self, size) or reach_problem(reach) or self.pair_problem(reach)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        polynomials = {"polynomial_w2c": list(self.w), "polynomial_c2w": list(self.a)}
        affine = {} if self.affine == STRAIGHT else {"affine": list(self.affine)}
        end = {} if self.end == MAX_THETA else {"max_theta": self.end}
        return {"model": "ocam", "center": [self.cx, self.cy], **polynomials, **affine, **end}

    def pair_problem(self, reach: float) -> str:
        """How far the two polynomials disagree up to ``reach`` radians, if that is too far; empty when it is not."""
        error = np.degrees(self.disagreement(reach))
        if error > MAX_DISAGREEMENT_DEG:
            return (
                f"its two polynomials disagree by {error:.1f} degrees ({MAX_DISAGREEMENT_DEG:g} allowed): "
                "one of them belongs to another lens"
            )
        return ""

    def disagreement(self, max_theta: float) -> float:
        """Largest angle between a direction and its projection unprojected, up to ``max_theta``. Radians."""
        theta = np.linspace(np.radians(2), max_theta, 200)
        r = self.radius(theta)
        z = polyval(np.minimum(r, self.max_radius), self.a)
        return float(np.abs(np.arctan2(r, -z) - theta).max())


def parse_ocam(data: dict[str, Any]) -> OcamLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    cx, cy = pair(data["center"])
    affine = checked_affine(data.get("affine", STRAIGHT))
    end = number(data.get("max_theta", float(MAX_THETA)))
    if not 0 < end <= MAX_THETA:
        raise ValueError(f"max_theta is {end:g}; radians up to {MAX_THETA:g} are angles of a lens")
    return OcamLens(cx, cy, polynomial(data["polynomial_w2c"]), polynomial(data["polynomial_c2w"]), affine, end)


def checked_affine(values: Any) -> tuple[float, ...]:
    """Affine terms c, d, e out of a field. Raises ValueError for those that would fold the picture."""
    c, d, e = numbers(values, 3)
    if not 1 / 3 < c < 3 or c - d * e < 0.1:
        raise ValueError(f"affine terms c, d, e = {c:g}, {d:g}, {e:g} belong to no camera")
    return c, d, e


def stretched(
    center: tuple[float, float],
    w: tuple[float, ...],
    a: tuple[float, ...],
    matrix: Any,
    end: float = float(MAX_THETA),
) -> OcamLens:
    """A lens whose offsets from the centre are ``matrix`` [2, 2] times those of a straight sensor.

    OcamLens has 1 as the matrix's first element; the polynomials take the scale. Raises ValueError or TypeError.
    """
    (uu, uv), (vu, vv) = (numbers(row, 2) for row in matrix)
    if not 1 / 3 < uu < 3:
        raise ValueError(f"a stretch of {uu:g} belongs to no camera")
    scaled = tuple(value * uu ** (1 - order) for order, value in enumerate(a))
    affine = checked_affine((vv / uu, vu / uu, uv / uu))
    return OcamLens(*center, tuple(value * uu for value in w), scaled, affine, end)
