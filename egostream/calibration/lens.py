"""Lens models. Each has ``project`` and ``unproject``, and says where it is valid.

Camera axes: x right in the image, y down, z forward along the optical axis; metres. Pixels: (u, v) with the
centre of the top left pixel at (0, 0). ``theta`` is the angle from the optical axis, in radians.

``project(points [..., 3])`` returns pixels [..., 2] and valid [...]; ``unproject(pixels [..., 2])`` returns unit
rays [..., 3] and valid [...]. Where ``valid`` is false the numbers are finite and mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from egostream.errors import EgostreamError

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


@dataclass(frozen=True)
class PinholeLens:
    """Pinhole with OpenCV's rational and tangential distortion (k1, k2, p1, p2[, k3[, k4, k5, k6]])."""

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    @property
    def matrix(self) -> np.ndarray:
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @cached_property
    def max_radius(self) -> float:
        """Largest undistorted radius tan(theta) below which the distorted radius grows."""
        if not self.distortion:
            return np.inf
        rho = np.linspace(1e-3, 10, 4096)
        line = np.stack([rho, 0 * rho, 1 + 0 * rho], -1)
        u = cv2.projectPoints(line, np.zeros(3), np.zeros(3), np.eye(3), np.array(self.distortion))[0][:, 0, 0]
        falling = np.flatnonzero(np.diff(u) <= 0)
        return float(rho[falling[0]]) if falling.size else float(rho[-1])

    def project(self, points):
        points = np.asarray(points, float)
        z = points[..., 2]
        front = (z > AXIS) & np.isfinite(points).all(-1)
        safe = np.where(front[..., None], points, (0, 0, 1.0))
        valid = front & (np.hypot(safe[..., 0], safe[..., 1]) <= self.max_radius * safe[..., 2])
        safe = np.where(valid[..., None], safe, (0, 0, 1.0))
        pixels = cv2.projectPoints(safe.reshape(-1, 3), np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion or (0.0,) * 4))[0]
        return pixels.reshape(*points.shape[:-1], 2), valid

    def unproject(self, pixels):
        pixels = np.asarray(pixels, float)
        finite = np.isfinite(pixels).all(-1)
        safe = np.where(finite[..., None], pixels, (self.cx, self.cy))
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
        flat = cv2.undistortPoints(safe.reshape(-1, 1, 2), self.matrix, np.array(self.distortion or (0.0,) * 4), criteria=criteria)
        xy = np.nan_to_num(flat.reshape(pixels.shape), posinf=0, neginf=0)
        rays = np.concatenate([xy, np.ones_like(xy[..., :1])], -1)
        # The iteration does not converge everywhere: only a ray that projects back is an answer.
        back, in_domain = self.project(rays)
        valid = finite & in_domain & (np.linalg.norm(back - safe, axis=-1) < 0.01)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid


def check_lens(lens: Lens, size: tuple[int, int], source: str) -> None:
    """Refuse a lens whose two directions disagree, or that is not defined over a useful part of its image.

    Raises EgostreamError naming ``source``.
    """
    width, height = size
    center = np.array([[lens.cx, lens.cy]])
    if not ((0 <= center) & (center < (width, height))).all():
        raise EgostreamError(
            f"{source}: the optical centre ({lens.cx:.1f}, {lens.cy:.1f}) lies outside the {width}x{height} image. Calibrate again: see calib/README.md"
        )
    if isinstance(lens, OcamLens):
        reach = min(np.pi / 2, lens.max_theta)
        if reach < np.radians(30):
            raise EgostreamError(
                f"{source}: the image radius stops growing at {np.degrees(reach):.0f} degrees from the axis. Calibrate again: see calib/README.md"
            )
        if (error := np.degrees(lens.disagreement(reach))) > 1.0:
            raise EgostreamError(
                f"{source}: its two polynomials disagree by {error:.1f} degrees (1 allowed): one of them belongs to another lens. Calibrate again: see calib/README.md"
            )
    elif isinstance(lens, KannalaBrandtLens) and lens.max_theta < np.radians(30):
        raise EgostreamError(
            f"{source}: the image radius stops growing at {np.degrees(lens.max_theta):.0f} degrees from the axis. Calibrate again: see calib/README.md"
        )
