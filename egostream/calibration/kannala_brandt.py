"""Kannala and Brandt's fisheye model, as OpenCV's ``fisheye`` module has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.fields import focal_and_center, numbers
from egostream.calibration.lens import (
    AXIS,
    center_problem,
    monotone_limit,
    radial_offsets,
    radial_pixels,
    reach_problem,
)

#: Halving the bracket alone would bring an angle of 130 degrees below ANGLE_TOLERANCE in 48 steps; Newton needs few.
ANGLE_STEPS = 60
ANGLE_TOLERANCE = 1e-14  # radians


@dataclass(frozen=True)
class KannalaBrandtLens:
    """OpenCV's fisheye model: r = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8).

    Source: Kannala and Brandt, PAMI 2006; OpenCV's ``cv2.fisheye`` documentation. Unlike OpenCV's functions it
    also holds beyond 90 degrees, up to where r stops growing.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    k: tuple[float, ...] = field(default=(0.0, 0.0, 0.0, 0.0))

    @property
    def focal(self) -> tuple[float, float]:
        """Pixels for each unit of r along u and v."""
        return self.fx, self.fy

    @property
    def is_symmetric(self) -> bool:
        """Always: r depends on theta alone."""
        return True

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of r as a polynomial in theta, low to high order [10]."""
        full = np.zeros(2 * len(self.k) + 2)
        full[1], full[3::2] = 1, self.k
        return full

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis up to which r grows, radians."""
        return monotone_limit(lambda theta: polyval(theta, polyder(self.coefficients)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        return polyval(theta, self.coefficients)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        return radial_pixels(points, self.radius, self.focal, (self.cx, self.cy), self.max_theta)

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        offset, r, finite = radial_offsets(pixels, self.focal, (self.cx, self.cy))
        valid = (r <= self.radius(np.array(self.max_theta))) & finite
        theta = self.angle(np.where(valid, r, 0))
        scale = np.where(r > AXIS, np.sin(theta) / np.where(r > AXIS, r, 1), 1.0)
        return np.concatenate([offset * scale[..., None], np.cos(theta)[..., None]], -1), valid

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...].

        Safeguarded Newton steps: r grows on [0, max_theta], so a bracket holds.
        """
        low, high = np.zeros_like(r), np.full_like(r, self.max_theta)
        theta = np.minimum(r, self.max_theta)
        slope = polyder(self.coefficients)
        for _ in range(ANGLE_STEPS):
            error = polyval(theta, self.coefficients) - r
            low, high = np.where(error < 0, theta, low), np.where(error > 0, theta, high)
            step = theta - error / np.maximum(polyval(theta, slope), 1e-12)
            inside = (step > low) & (step < high)
            better = np.where(error == 0, theta, np.where(inside, step, (low + high) / 2))
            if np.abs(better - theta).max(initial=0) < ANGLE_TOLERANCE:
                break
            theta = better
        return theta

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        return center_problem(self, size) or reach_problem(self.max_theta)


def parse_kannala_brandt(data: dict[str, Any]) -> KannalaBrandtLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    return KannalaBrandtLens(*focal_and_center(data), numbers(data["k"], 4))
