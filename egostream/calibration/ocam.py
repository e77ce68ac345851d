"""Scaramuzza's omnidirectional polynomial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.fields import pair, polynomial
from egostream.calibration.lens import center_problem, monotone_limit, radial_offsets, radial_pixels, reach_problem

#: Largest angle between the two polynomials, degrees. The canonical lens's differ by a millionth of a degree.
#: The limit itself was chosen by hand; not measured.
MAX_DISAGREEMENT_DEG = 1.0


@dataclass(frozen=True)
class OcamLens:
    """Scaramuzza's omnidirectional polynomial, as EgoPW and SceneEgo store it.

    Project:   t = atan(-Z/n), rho = sum_i w[i] t^i, (u, v) = rho (X, Y)/n + (cx, cy); on the axis (cx, cy).
    Unproject: x = u - cx, y = v - cy, r = hypot(x, y), z = sum_i a[i] r^i, ray = (x, y, -z)/norm.
    The datasets' affine terms are within 3e-4 of the identity, and their own readers ignore them; so does this.
    Source: Scaramuzza et al., "A toolbox for easily calibrating omnidirectional cameras", IROS 2006.
    """

    cx: float
    cy: float
    w: tuple[float, ...]  # world to camera, low to high order, pixels per radian^i
    a: tuple[float, ...]  # camera to world, low to high order

    @property
    def focal(self) -> tuple[float, float]:
        """Scale of the image along u and v: square pixels, since the polynomials are in pixels already."""
        return 1.0, 1.0

    @property
    def is_symmetric(self) -> bool:
        """Always: rho depends on theta alone."""
        return True

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis up to which the image radius grows, radians."""
        return monotone_limit(lambda theta: polyval(theta - np.pi / 2, polyder(self.w)))

    @cached_property
    def max_radius(self) -> float:
        """Image radius at ``max_theta``, pixels."""
        return float(self.radius(np.array(self.max_theta)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """Image radius [...] in pixels at angles theta [...] from the optical axis, radians."""
        return polyval(theta - np.pi / 2, self.w)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        return radial_pixels(points, self.radius, self.focal, (self.cx, self.cy), self.max_theta)

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        offset, r, finite = radial_offsets(pixels, self.focal, (self.cx, self.cy))
        valid = (r <= self.max_radius) & finite
        z = polyval(np.minimum(r, self.max_radius), self.a)
        rays = np.concatenate([offset, -z[..., None]], -1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        reach = min(np.pi / 2, self.max_theta)
        return center_problem(self, size) or reach_problem(reach) or self.pair_problem(reach)

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
        pixels = np.stack([self.cx + self.radius(theta), np.full_like(theta, self.cy)], -1)
        rays, _ = self.unproject(pixels)
        return float(np.abs(np.arctan2(rays[:, 0], rays[:, 2]) - theta).max())


def parse_ocam(data: dict[str, Any]) -> OcamLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    cx, cy = pair(data["center"])
    return OcamLens(cx, cy, polynomial(data["polynomial_w2c"]), polynomial(data["polynomial_c2w"]))


def parse_dataset_ocam(data: dict[str, Any]) -> OcamLens:
    """The lens of a file of EgoPW, SceneEgo and kin. Raises KeyError or ValueError.

    The centre stands in the intrinsic matrix or in ``image_center``; the datasets' own readers ignore the other fields.
    """
    if "image_center" in data:
        cx, cy = pair(data["image_center"])
    else:
        cx, cy = (float(data["intrinsic"][row][2]) for row in (0, 1))
    return OcamLens(cx, cy, polynomial(data["polynomialW2C"]), polynomial(data["polynomialC2W"]))


def parse_event_ocam(data: dict[str, Any]) -> OcamLens:
    """The lens of a file of EventEgo3D. Raises KeyError or ValueError.

    There t = atan(+Z/n) and z points forward: odd terms of one polynomial and all of the other change sign.
    """
    w = tuple(value * (-1) ** order for order, value in enumerate(polynomial(data["invpol"])))
    cx, cy = float(data["xc"]), float(data["yc"])
    return OcamLens(cx, cy, w, tuple(-value for value in polynomial(data["pol"])))
