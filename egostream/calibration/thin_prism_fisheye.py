"""The equidistant model with tangential and thin-prism terms, of Project Aria."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.calibration.bend import Bend
from egostream.calibration.fields import focal_and_center, numbers
from egostream.calibration.lens import equidistant_polynomial, monotone_limit, polynomial_angle
from egostream.calibration.round_lens import RoundLens


@dataclass(frozen=True)
class ThinPrismFisheyeLens(RoundLens):
    """Aria's FisheyeRadTanThinPrism (Fisheye624): six radial, two tangential and four thin-prism terms.

    r = theta (1 + k1 theta^2 + ... + k6 theta^12); (x, y) = r (X, Y)/n, s = x^2 + y^2;
    x' = x + 2 x (p1 x + p2 y) + p1 s + s1 s + s2 s^2, y' = y + 2 y (p1 x + p2 y) + p2 s + s3 s + s4 s^2.
    Note that p1 goes with x here, and with y in OpenCV.
    Domain: up to where r stops growing or the picture folds, no further than 130 degrees.
    Source: projectaria_tools' documentation, "Camera intrinsic models".
    """

    k: tuple[float, ...] = (0.0,) * 6
    p: tuple[float, ...] = (0.0, 0.0)
    prism: tuple[float, ...] = (0.0,) * 4

    @cached_property
    def bend(self) -> Bend:
        """Tangential and thin-prism terms."""
        return Bend(p=(self.p[1], self.p[0]), prism=self.prism)

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of r as a polynomial in theta, low to high order [14]."""
        return equidistant_polynomial(self.k)

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        end = monotone_limit(lambda theta: polyval(theta, polyder(self.coefficients)))
        most = float(self.radius(np.array(end)))
        edge = self.bend.edge(most)
        return end if edge >= most else float(polynomial_angle(np.array(edge), self.coefficients, end))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        return polyval(theta, self.coefficients)

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        return polynomial_angle(r, self.coefficients, self.max_theta)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        terms = {"k": list(self.k), "p": list(self.p), "prism": list(self.prism)}
        return {**self.common_fields("thin_prism_fisheye"), **terms}


def parse_thin_prism_fisheye(data: dict[str, Any]) -> ThinPrismFisheyeLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    k, p, prism = numbers(data["k"], 6), numbers(data["p"], 2), numbers(data["prism"], 4)
    return ThinPrismFisheyeLens(*focal_and_center(data), k, p, prism)
