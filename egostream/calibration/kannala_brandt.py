"""Kannala and Brandt's fisheye model, as OpenCV's ``fisheye`` module has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.fields import focal_and_center, number, numbers
from egostream.calibration.lens import (
    AXIS,
    center_problem,
    equidistant_polynomial,
    monotone_limit,
    polynomial_angle,
    radial_offsets,
    radial_pixels,
    reach_problem,
    skewed,
)


@dataclass(frozen=True)
class KannalaBrandtLens:
    """OpenCV's fisheye model: r = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8).

    u = fx r X/n + skew r Y/n + cx, v = fy r Y/n + cy.
    Source: Kannala and Brandt, PAMI 2006; OpenCV's ``cv2.fisheye`` documentation. Unlike OpenCV's functions it
    also holds beyond 90 degrees, up to where r stops growing.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    k: tuple[float, ...] = field(default=(0.0, 0.0, 0.0, 0.0))
    skew: float = 0.0  # pixels along u for each unit of r along v; OpenCV's alpha times fx

    @property
    def focal(self) -> tuple[float, float]:
        """Pixels for each unit of r along u and v."""
        return self.fx, self.fy

    @property
    def is_symmetric(self) -> bool:
        """Whether there is no skew: r depends on theta alone."""
        return not self.skew

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of r as a polynomial in theta, low to high order [10]."""
        return equidistant_polynomial(self.k)

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis up to which r grows, radians."""
        return monotone_limit(lambda theta: polyval(theta, polyder(self.coefficients)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        return polyval(theta, self.coefficients)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        pixels, valid = radial_pixels(points, self.radius, self.focal, (self.cx, self.cy), self.max_theta)
        return skewed(pixels, self.skew / self.fy, self.cy), valid

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        pixels = skewed(np.asarray(pixels, float), -self.skew / self.fy, self.cy)
        offset, r, finite = radial_offsets(pixels, self.focal, (self.cx, self.cy))
        valid = (r <= self.radius(np.array(self.max_theta))) & finite
        theta = self.angle(np.where(valid, r, 0))
        scale = np.where(r > AXIS, np.sin(theta) / np.where(r > AXIS, r, 1), 1.0)
        return np.concatenate([offset * scale[..., None], np.cos(theta)[..., None]], -1), valid

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        return polynomial_angle(r, self.coefficients, self.max_theta)

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        return center_problem(self, size) or reach_problem(self.max_theta)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        skew = {"skew": self.skew} if self.skew else {}
        center, focal = [self.cx, self.cy], [self.fx, self.fy]
        return {"model": "kannala_brandt", "center": center, "focal": focal, "k": list(self.k), **skew}


def parse_kannala_brandt(data: dict[str, Any]) -> KannalaBrandtLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    return KannalaBrandtLens(*focal_and_center(data), numbers(data["k"], 4), number(data.get("skew", 0.0)))
