"""Lens models. Each has ``project`` and ``unproject``, and says where it is valid.

Camera axes: x right in the image, y down, z forward along the optical axis; metres. Pixels: (u, v) with the
centre of the top left pixel at (0, 0). ``theta`` is the angle from the optical axis, in radians.

``project(points [..., 3])`` returns pixels [..., 2] and valid [...]; ``unproject(pixels [..., 2])`` returns unit
rays [..., 3] and valid [...]. Where ``valid`` is false the numbers are finite and mean nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

MAX_THETA = np.radians(130)
OUTSIDE = -1e4  # pixels of what no lens sees, where a number is needed that lies in no picture
AXIS = 1e-9  # closer to the optical axis than this, a direction in the image plane has no meaning


class Lens(Protocol):
    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


def project_or_outside(lens: Lens, points) -> np.ndarray:
    """Pixels [..., 2] of points [..., 3], OUTSIDE for those that the lens does not see."""
    pixels, valid = lens.project(points)
    return np.where(valid[..., None], pixels, OUTSIDE)


def monotone_limit(radius_slope, limit: float = MAX_THETA) -> float:
    """Largest theta up to ``limit`` below which the image radius grows strictly with theta."""
    thetas = np.linspace(1e-3, limit, 2048)
    falling = np.flatnonzero(radius_slope(thetas) <= 0)
    return float(thetas[falling[0] - 1]) if falling.size and falling[0] else (0.0 if falling.size else limit)


def radial_pixels(points, radius_of_theta, fx, fy, cx, cy, max_theta):
    """Shared tail of the radial models: u = fx * r(theta) * X / n + cx, v likewise, n = hypot(X, Y)."""
    points = np.asarray(points, float)
    x, y, z = np.moveaxis(points, -1, 0)
    n = np.hypot(x, y)
    theta = np.arctan2(n, z)
    valid = (theta <= max_theta) & (np.abs(points).sum(-1) > AXIS) & np.isfinite(points).all(-1)
    r = radius_of_theta(np.where(valid, theta, 0.0))
    scale = np.where(n > AXIS, r / np.where(n > AXIS, n, 1), 0.0)
    pixels = np.stack([fx * scale * np.where(valid, x, 0) + cx, fy * scale * np.where(valid, y, 0) + cy], -1)
    return pixels, valid
