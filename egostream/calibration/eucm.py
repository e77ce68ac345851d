"""The enhanced unified camera model of Khomutenko, Garcia and Martinet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from egostream.calibration.fields import focal_and_center, number
from egostream.calibration.round_lens import OPEN_END, RoundLens


@dataclass(frozen=True)
class EucmLens(RoundLens):
    """An ellipsoid of shape ``beta``, then a pinhole shifted by alpha/(1 - alpha): basalt's and Kalibr's ``eucm``.

    With P = (X, Y, Z) and d = sqrt(beta (X^2 + Y^2) + Z^2):
    (u, v) = (fx X, fy Y) / (alpha d + (1 - alpha) Z) + (cx, cy).
    Domain: Z > -w d, with w = alpha/(1 - alpha) up to alpha = 1/2 and (1 - alpha)/alpha beyond; of pixels,
    (2 alpha - 1) beta r^2 <= 1. With beta = 1 it is the unified model (basalt's ``ucm``).
    Source: Khomutenko et al., "An Enhanced Unified Camera Model", RA-L 2016; Usenko et al., 3DV 2018, section II.
    """

    alpha: float = 0.5
    beta: float = 1.0

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        w = self.alpha / (1 - self.alpha) if self.alpha <= 0.5 else (1 - self.alpha) / self.alpha
        if w == 0:
            return np.pi / 2 - OPEN_END
        return np.pi - float(np.arctan(np.sqrt(max(1 - w * w, 0) / self.beta) / w)) - OPEN_END

    @cached_property
    def max_radius(self) -> float:
        """r at the end of the domain; without end up to alpha = 1/2."""
        return float(1 / np.sqrt((2 * self.alpha - 1) * self.beta)) if self.alpha > 0.5 else np.inf

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        ahead = np.cos(theta)
        return np.sin(theta) / (
            self.alpha * np.hypot(np.sqrt(self.beta) * np.sin(theta), ahead) + (1 - self.alpha) * ahead
        )

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        s = self.beta * r * r
        root = np.sqrt(np.maximum(1 - (2 * self.alpha - 1) * s, 0))
        return np.arctan2(r, (1 - self.alpha**2 * s) / (self.alpha * root + 1 - self.alpha))

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        return {**self.common_fields("eucm"), "alpha": self.alpha, "beta": self.beta}


def parse_eucm(data: dict[str, Any]) -> EucmLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    alpha, beta = number(data["alpha"]), number(data["beta"])
    if not (0 <= alpha <= 1 and 1e-3 < beta < 1e3):
        raise ValueError(f"alpha {alpha:g} and beta {beta:g}: from 0 to 1 and from 0.001 to 1000 are lenses")
    return EucmLens(*focal_and_center(data), alpha, beta)
