"""The field-of-view model of Devernay and Faugeras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from egostream.calibration.fields import focal_and_center, number
from egostream.calibration.round_lens import OPEN_END, RoundLens


@dataclass(frozen=True)
class FovLens(RoundLens):
    """An ideal fisheye of angle ``w``: r = atan(2 tan(w/2) n/Z) / w. Kalibr's ``fov``, PTAM's ATAN.

    Domain: in front of the camera, Z > 0; of pixels, r < pi / (2 w).
    Source: Devernay and Faugeras, "Straight lines have to be straight", MVA 2001.
    """

    w: float = 1.0

    @cached_property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        return np.pi / 2 - OPEN_END

    def radius(self, theta: np.ndarray) -> np.ndarray:
        """r [...] at angles theta [...] from the optical axis, radians."""
        return np.arctan2(2 * np.tan(self.w / 2) * np.sin(theta), np.cos(theta)) / self.w

    def angle(self, r: np.ndarray) -> np.ndarray:
        """Angles theta [...], radians, with radius(theta) = r [...]."""
        return np.arctan2(np.sin(r * self.w), 2 * np.tan(self.w / 2) * np.cos(r * self.w))

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        return {**self.common_fields("fov"), "w": self.w}


def parse_fov(data: dict[str, Any]) -> FovLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    w = number(data["w"])
    if not 1e-4 < w < np.pi:
        raise ValueError(f"w is {w:g} radians: above 0.0001 and below pi are lenses")
    return FovLens(*focal_and_center(data), w)
