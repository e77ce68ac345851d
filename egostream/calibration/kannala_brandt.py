"""Kannala and Brandt's fisheye model, as OpenCV's ``fisheye`` module has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.lens import AXIS, monotone_limit, radial_pixels


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

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Of r as a polynomial in theta, low to high."""
        full = np.zeros(2 * len(self.k) + 2)
        full[1], full[3::2] = 1, self.k
        return full

    @cached_property
    def max_theta(self) -> float:
        return monotone_limit(lambda theta: polyval(theta, polyder(self.coefficients)))

    def radius(self, theta):
        return polyval(theta, self.coefficients)

    def project(self, points):
        return radial_pixels(points, self.radius, self.fx, self.fy, self.cx, self.cy, self.max_theta)

    def unproject(self, pixels):
        offset = (np.asarray(pixels, float) - (self.cx, self.cy)) / (self.fx, self.fy)
        finite = np.isfinite(offset).all(-1)
        offset = np.where(finite[..., None], offset, 0)
        r = np.hypot(offset[..., 0], offset[..., 1])
        valid = (r <= self.radius(self.max_theta)) & finite
        theta = self.angle(np.where(valid, r, 0))
        scale = np.where(r > AXIS, np.sin(theta) / np.where(r > AXIS, r, 1), 1.0)
        return np.concatenate([offset * scale[..., None], np.cos(theta)[..., None]], -1), valid

    def angle(self, r):
        """theta with radius(theta) = r, by safeguarded Newton steps: r grows on [0, max_theta], so a bracket holds."""
        low, high = np.zeros_like(r), np.full_like(r, self.max_theta)
        theta = np.minimum(r, self.max_theta)
        slope = polyder(self.coefficients)
        for _ in range(60):
            error = polyval(theta, self.coefficients) - r
            low, high = np.where(error < 0, theta, low), np.where(error > 0, theta, high)
            step = theta - error / np.maximum(polyval(theta, slope), 1e-12)
            inside = (step > low) & (step < high)
            better = np.where(error == 0, theta, np.where(inside, step, (low + high) / 2))
            if np.abs(better - theta).max(initial=0) < 1e-14:
                break
            theta = better
        return theta
