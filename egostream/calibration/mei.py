"""The unified model of Mei and Rives, as OpenCV's ``omnidir`` module has it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from egostream.calibration.bend import Bend
from egostream.calibration.fields import focal_and_center, number, numbers
from egostream.calibration.lens import MAX_THETA
from egostream.calibration.round_lens import OPEN_END, RoundLens


@dataclass(frozen=True)
class MeiLens(RoundLens):
    """A unit sphere seen from ``xi`` behind its centre, then Brown's distortion: Kalibr's ``omni-radtan``.

    (x, y) = (X, Y) / (Z + xi |P|), s = x^2 + y^2;
    x' = x (1 + k1 s + k2 s^2) + 2 p1 x y + p2 (s + 2 x^2), y' = y (1 + k1 s + k2 s^2) + p1 (s + 2 y^2) + 2 p2 x y;
    u = fx x' + skew y' + cx, v = fy y' + cy.
    Domain: Z > -|P| min(xi, 1/xi). With distortion also no further than 130 degrees, nor than where the picture folds.
    Source: Mei and Rives, "Single view point omnidirectional camera calibration from planar grids", ICRA 2007;
    the documentation of ``cv2.omnidir``.
    """

    xi: float = 1.0
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)  # k1, k2, p1, p2
    skew: float = 0.0  # pixels

    @cached_property
    def bend(self) -> Bend:
        """Brown's terms."""
        return Bend(self.distortion[:2], self.distortion[2:])

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        end = float(np.arccos(-min(self.xi, 1 / self.xi) if self.xi > 0 else -self.xi)) - OPEN_END
        if self.bend.is_none:
            return end
        end = min(end, MAX_THETA)
        most = float(self.radius(np.array(end)))
        edge = self.bend.edge(most)
        return end if edge >= most else float(self.angle(np.array(edge)))

    @cached_property
    def max_radius(self) -> float:
        """r at the end of the domain; without end for xi up to 1, where nothing is bent."""
        if self.bend.is_none:
            return float(1 / np.sqrt(self.xi**2 - 1)) if self.xi > 1 else np.inf
        return float(self.radius(np.array(self.max_theta)))

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        return np.sin(theta) / (np.cos(theta) + self.xi)

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        reach = (self.xi + np.sqrt(np.maximum(1 + (1 - self.xi**2) * r * r, 0))) / (1 + r * r)
        return np.arctan2(reach * r, reach - self.xi)

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        return {**self.common_fields("mei"), "xi": self.xi, "distortion": list(self.distortion)}


def parse_mei(data: dict[str, Any]) -> MeiLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    xi = number(data["xi"])
    if not -1 < xi < 100:
        raise ValueError(f"xi is {xi:g}: above -1 and below 100 are lenses")
    distortion = numbers(data.get("distortion", [0, 0, 0, 0]), 4)
    return MeiLens(*focal_and_center(data), xi, distortion, number(data.get("skew", 0.0)))
