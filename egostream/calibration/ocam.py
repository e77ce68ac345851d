"""Scaramuzza's omnidirectional polynomial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.lens import monotone_limit, radial_pixels


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

    @cached_property
    def max_theta(self) -> float:
        return monotone_limit(lambda theta: polyval(theta - np.pi / 2, polyder(self.w)))

    @cached_property
    def max_radius(self) -> float:
        return float(self.radius(self.max_theta))

    def radius(self, theta):
        return polyval(theta - np.pi / 2, self.w)

    def project(self, points):
        return radial_pixels(points, self.radius, 1, 1, self.cx, self.cy, self.max_theta)

    def unproject(self, pixels):
        offset = np.asarray(pixels, float) - (self.cx, self.cy)
        finite = np.isfinite(offset).all(-1)
        offset = np.where(finite[..., None], offset, 0)
        r = np.hypot(offset[..., 0], offset[..., 1])
        valid = (r <= self.max_radius) & finite
        z = polyval(np.minimum(r, self.max_radius), self.a)
        rays = np.concatenate([offset, -z[..., None]], -1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def disagreement(self, max_theta: float) -> float:
        """Largest angle between a direction and its projection unprojected, up to ``max_theta``. Radians."""
        theta = np.linspace(np.radians(2), max_theta, 200)
        pixels = np.stack([self.cx + self.radius(theta), np.full_like(theta, self.cy)], -1)
        rays, _ = self.unproject(pixels)
        return float(np.abs(np.arctan2(rays[:, 0], rays[:, 2]) - theta).max())
