"""What every lens model promises, and the maths that several of them share.

Camera axes: x right in the image, y down, z forward along the optical axis; metres. Pixels: (u, v) with the
centre of the top left pixel at (0, 0). ``theta`` is the angle from the optical axis, in radians.

A new model is one file with a class that keeps the ``Lens`` contract, and one line in ``calibration.file``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

#: Largest theta that a model may claim, radians: far beyond what calibration pictures show, a polynomial means nothing.
#: Chosen by hand; not measured.
MAX_THETA = np.radians(130)
#: Least theta up to which a fisheye's image must grow, radians; one that stops earlier is a broken calibration.
#: Chosen by hand; not measured.
LEAST_REACH = np.radians(30)
#: Pixels of what no lens sees, where a number is needed that lies in no picture.
OUTSIDE = -1e4
#: Closer to the optical axis than this, in metres, a direction in the image plane has no meaning.
AXIS = 1e-9
#: Angles at which ``monotone_limit`` looks, one each 0.06 degrees.
LIMIT_SAMPLES = 2048
#: Halving the bracket alone would bring an angle of 130 degrees below ANGLE_TOLERANCE in 48 steps; Newton needs few.
ANGLE_STEPS = 60
ANGLE_TOLERANCE = 1e-14  # radians


class Lens(Protocol):
    """One camera's lens: directions to pixels and back. Immutable; lenses with the same numbers compare equal."""

    @property
    def cx(self) -> float:
        """Where the optical axis meets the image: u, pixels."""

    @property
    def cy(self) -> float:
        """Where the optical axis meets the image: v, pixels."""

    @property
    def focal(self) -> tuple[float, float]:
        """Scale of the image along u and v. Their ratio counts: 1 for square pixels."""

    @property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""

    @property
    def is_symmetric(self) -> bool:
        """Whether the picture, divided by ``focal``, may be turned and mirrored about (cx, cy).

        True when the distance from the centre depends on theta alone. False with tangential terms, a tilted sensor,
        a skew, or anything else that bends one side of the picture otherwise than the other.
        """

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...].

        Where the lens sees nothing, the pixels are finite and mean nothing.
        """

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...].

        Where a pixel lies outside the lens, the ray is finite and means nothing.
        """

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout (calib/README.md), as its parser reads them back."""


def project_or_outside(lens: Lens, points: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] of points [..., 3], OUTSIDE for those that the lens does not see."""
    pixels, valid = lens.project(points)
    return np.where(valid[..., None], pixels, OUTSIDE)


def center_problem(lens: Lens, size: tuple[int, int]) -> str:
    """What is wrong with where the optical axis meets a picture of ``size`` (width, height); empty when nothing is."""
    width, height = size
    if 0 <= lens.cx < width and 0 <= lens.cy < height:
        return ""
    return f"the optical centre ({lens.cx:.1f}, {lens.cy:.1f}) lies outside the {width}x{height} image"


def reach_problem(max_theta: float) -> str:
    """What is wrong with a fisheye that sees up to ``max_theta`` radians; empty when nothing is."""
    if max_theta >= LEAST_REACH:
        return ""
    return f"the image radius stops growing at {np.degrees(max_theta):.0f} degrees from the axis"


def monotone_limit(radius_slope: Callable[[np.ndarray], np.ndarray], limit: float = MAX_THETA) -> float:
    """Largest theta up to ``limit``, radians, below which the image radius grows strictly with theta.

    radius_slope: thetas [n] -> derivative of the radius [n].
    """
    thetas = np.linspace(1e-3, limit, LIMIT_SAMPLES)
    falling = np.flatnonzero(~(radius_slope(thetas) > 0))  # what is not a number does not grow
    if not falling.size:
        return float(limit)
    return float(thetas[falling[0] - 1]) if falling[0] else 0.0


def equidistant_polynomial(k: Sequence[float]) -> np.ndarray:
    """Coefficients, low to high order [2 len(k) + 2], of r = theta (1 + k1 theta^2 + k2 theta^4 + ...)."""
    coefficients = np.zeros(2 * len(k) + 2)
    coefficients[1], coefficients[3::2] = 1, k
    return coefficients


def polynomial_angle(r: np.ndarray, coefficients: np.ndarray, max_theta: float) -> np.ndarray:
    """Angles theta [...], radians, at which a polynomial that grows on [0, max_theta] has the values r [...].

    coefficients: low to high order. Safeguarded Newton steps: the polynomial grows, so a bracket holds.
    """
    low, high = np.zeros_like(r), np.full_like(r, max_theta)
    theta = np.minimum(r, max_theta)
    slope = polyder(coefficients)
    for _ in range(ANGLE_STEPS):
        error = polyval(theta, coefficients) - r
        low, high = np.where(error < 0, theta, low), np.where(error > 0, theta, high)
        step = theta - error / np.maximum(polyval(theta, slope), 1e-12)
        inside = (step > low) & (step < high)
        better = np.where(error == 0, theta, np.where(inside, step, (low + high) / 2))
        if np.abs(better - theta).max(initial=0) < ANGLE_TOLERANCE:
            break
        theta = better
    return theta


def radial_pixels(
    points: np.ndarray,
    radius_of_theta: Callable[[np.ndarray], np.ndarray],
    focal: tuple[float, float],
    center: tuple[float, float],
    max_theta: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Project points [..., 3] through a radial model: pixels [..., 2], and which points are seen [...].

    u = fx r(theta) X / n + cx, v = fy r(theta) Y / n + cy, with n = hypot(X, Y), for theta up to ``max_theta``.
    """
    points = np.asarray(points, float)
    x, y, z = np.moveaxis(points, -1, 0)
    n = np.hypot(x, y)
    theta = np.arctan2(n, z)
    valid = (theta <= max_theta) & (np.abs(points).sum(-1) > AXIS) & np.isfinite(points).all(-1)
    r = radius_of_theta(np.where(valid, theta, 0.0))
    scale = np.where(n > AXIS, r / np.where(n > AXIS, n, 1), 0.0)
    (fx, fy), (cx, cy) = focal, center
    pixels = np.stack([fx * scale * np.where(valid, x, 0) + cx, fy * scale * np.where(valid, y, 0) + cy], -1)
    return pixels, valid


def radial_offsets(
    pixels: np.ndarray, focal: tuple[float, float], center: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels [..., 2] -> offsets from the centre [..., 2], their lengths [...], and which of them are finite [...].

    The start of a radial model's way back. Offsets are divided by the focal lengths. Where a pixel is not finite, its
    offset is 0.
    """
    offset = (np.asarray(pixels, float) - center) / focal
    finite = np.all(np.isfinite(offset), axis=-1)
    offset = np.where(finite[..., None], offset, 0)
    return offset, np.hypot(offset[..., 0], offset[..., 1]), finite


def skewed(pixels: np.ndarray, slope: float, cy: float) -> np.ndarray:
    """Pixels [..., 2] moved along u by ``slope`` times their height below ``cy``; themselves where slope is 0."""
    if not slope:
        return pixels
    return pixels + np.stack([slope * (pixels[..., 1] - cy), np.zeros(pixels.shape[:-1])], -1)
