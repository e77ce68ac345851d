"""The double-sphere model of Usenko, Demmel and Cremers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from egostream.calibration.fields import focal_and_center, number
from egostream.calibration.round_lens import OPEN_END, RoundLens


@dataclass(frozen=True)
class DoubleSphereLens(RoundLens):
    """Two spheres ``xi`` apart, then a pinhole shifted by alpha/(1 - alpha): basalt's and Kalibr's ``ds``.

    With P = (X, Y, Z), n = hypot(X, Y), d1 = |P|, d2 = sqrt(n^2 + (xi d1 + Z)^2):
    (u, v) = (fx X, fy Y) / (alpha d2 + (1 - alpha)(xi d1 + Z)) + (cx, cy).
    Domain: Z > -w2 d1, with w1 = alpha/(1 - alpha) up to alpha = 1/2 and (1 - alpha)/alpha beyond,
    w2 = (w1 + xi) / sqrt(2 w1 xi + xi^2 + 1); of pixels, (2 alpha - 1) r^2 <= 1. For some lenses (xi -0.6, alpha 0.2) r
    leaps to infinity before: there the domain ends where r stops growing, by ``grown_end``.
    Source: Usenko et al., "The Double Sphere Camera Model", 3DV 2018.
    """

    xi: float = 0.0
    alpha: float = 0.5

    @cached_property
    def w1(self) -> float:
        """The paper's w1."""
        return self.alpha / (1 - self.alpha) if self.alpha <= 0.5 else (1 - self.alpha) / self.alpha

    @cached_property
    def published_end(self) -> float:
        """Angle from the optical axis at which the paper ends the lens, radians."""
        w2 = (self.w1 + self.xi) / np.sqrt(2 * self.w1 * self.xi + self.xi**2 + 1)
        return float(np.arccos(np.clip(-w2, -1, 1)))

    @cached_property
    def grown_end(self) -> float:
        """Angle at which r stops growing: the smaller solution of (xi + c) / sqrt(1 + 2 xi c + xi^2) = -w1."""
        rest = 1 - self.w1**2
        c = -self.xi * rest - self.w1 * np.sqrt(max(1 - self.xi**2 * rest, 0))
        return float(np.arccos(np.clip(c, -1, 1)))

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        return min(self.published_end, self.grown_end) - OPEN_END

    @cached_property
    def max_radius(self) -> float:
        """r at the end of the domain; without end where r grows beyond all bounds."""
        if self.published_end < self.grown_end:
            return float(self.radius(np.array(self.max_theta)))
        return float(1 / np.sqrt(2 * self.alpha - 1)) if self.alpha > 0.5 else np.inf

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        ahead = self.xi + np.cos(theta)
        return np.sin(theta) / (self.alpha * np.hypot(np.sin(theta), ahead) + (1 - self.alpha) * ahead)

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        root = np.sqrt(np.maximum(1 - (2 * self.alpha - 1) * r * r, 0))
        z = (1 - (self.alpha * r) ** 2) / (self.alpha * root + 1 - self.alpha)
        reach = (z * self.xi + np.sqrt(np.maximum(z * z + (1 - self.xi**2) * r * r, 0))) / (z * z + r * r)
        return np.arctan2(reach * r, reach * z - self.xi)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        return {**self.common_fields("double_sphere"), "xi": self.xi, "alpha": self.alpha}


def parse_double_sphere(data: dict[str, Any]) -> DoubleSphereLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    xi, alpha = number(data["xi"]), number(data["alpha"])
    if not (-1 < xi <= 1 and 0 <= alpha <= 1):
        raise ValueError(f"xi {xi:g} and alpha {alpha:g}: from -1 to 1 and from 0 to 1 are lenses")
    return DoubleSphereLens(*focal_and_center(data), xi, alpha)
