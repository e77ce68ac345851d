"""What lens models share whose image radius is a function of theta, perhaps bent afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from egostream.calibration.bend import Bend
from egostream.calibration.lens import AXIS, center_problem, radial_offsets, radial_pixels, reach_problem, skewed

#: Radians left out before an angle at which the image radius grows beyond all bounds.
OPEN_END = 1e-9


@dataclass(frozen=True)
class RoundLens:
    """A lens with (x, y) = r(theta) (X, Y)/n, (x', y') = bend(x, y), u = fx x' + skew y' + cx, v = fy y' + cy.

    A model says what r is: ``radius``, ``angle`` and ``max_theta``; and its bend and skew, where it has them.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    skew = 0.0

    @property
    def bend(self) -> Bend:
        """What bends the picture after r(theta)."""
        return Bend()

    @property
    def focal(self) -> tuple[float, float]:
        """Pixels for each unit of r along u and v."""
        return self.fx, self.fy

    @property
    def is_symmetric(self) -> bool:
        """Whether the distance from the centre depends on theta alone."""
        return self.bend.is_symmetric and not self.skew

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        raise NotImplementedError

    @cached_property
    def max_radius(self) -> float:
        """r at ``max_theta``: no direction lies further out."""
        return float(self.radius(np.array(self.max_theta)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians, up to ``max_theta``."""
        raise NotImplementedError

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...], up to ``max_radius``."""
        raise NotImplementedError

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        flat, valid = radial_pixels(points, self.radius, (1.0, 1.0), (0.0, 0.0), self.max_theta)
        pixels = self.bend.bent(flat) * self.focal + (self.cx, self.cy)
        return skewed(pixels, self.skew / self.fy, self.cy), valid

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        pixels = skewed(np.asarray(pixels, float), -self.skew / self.fy, self.cy)
        offset, _, finite = radial_offsets(pixels, self.focal, (self.cx, self.cy))
        flat, found = self.bend.straight(offset, self.max_radius)
        valid = found & finite
        flat = np.where(valid[..., None], flat, 0.0)
        r = np.hypot(flat[..., 0], flat[..., 1])
        theta = self.angle(r)
        scale = np.where(r > AXIS, np.sin(theta) / np.where(r > AXIS, r, 1), 1.0)
        rays = np.concatenate([flat * scale[..., None], np.cos(theta)[..., None]], -1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        return center_problem(self, size) or reach_problem(self.max_theta)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        raise NotImplementedError

    def common_fields(self, model: str) -> dict[str, Any]:
        """The fields of our own layout that all these models have."""
        skew = {"skew": self.skew} if self.skew else {}
        return {"model": model, "center": [self.cx, self.cy], "focal": [self.fx, self.fy], **skew}
