"""Pinhole cameras with OpenCV's distortion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from egostream.calibration.fields import focal_and_center, number, numbers
from egostream.calibration.lens import AXIS, center_problem, skewed

TANGENTIAL = slice(2, 4)  # p1 and p2 among OpenCV's distortion numbers
PRISM_AND_TILT = slice(8, 14)  # s1 to s4, tau_x, tau_y
COUNTS = (0, 4, 5, 8, 12, 14)  # of distortion numbers that OpenCV takes
#: Directions in which the radius is looked at where one side of the picture may bend otherwise than the other.
AZIMUTHS = 32
#: Largest undistorted radius tan(theta) at which a distortion is looked at: 84 degrees, the end of pinholes.
MAX_TANGENT = 10.0
#: A ray must project back this close to its pixel, pixels: the iteration of OpenCV does not converge everywhere.
BACK_WITHIN = 0.01
#: A distortion that folds the picture nearer to the centre than this part of its shorter side is no lens's; all that
#: were met fold outside the picture. Chosen by hand; not measured.
LEAST_RADIUS = 0.25


@dataclass(frozen=True)
class PinholeLens:
    """Pinhole with OpenCV's distortion (k1, k2, p1, p2[, k3[, k4, k5, k6[, s1, s2, s3, s4[, tau_x, tau_y]]]]).

    Source: OpenCV's documentation of ``projectPoints``. Valid in front of the camera (z > 0), up to where the
    distorted radius stops growing. A skew adds skew y to u, with y the distorted Y/Z.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    skew: float = 0.0  # pixels

    @property
    def focal(self) -> tuple[float, float]:
        """Focal lengths along u and v, pixels."""
        return self.fx, self.fy

    @property
    def is_bent(self) -> bool:
        """Whether the distortion differs from side to side."""
        return any((*self.distortion[TANGENTIAL], *self.distortion[PRISM_AND_TILT]))

    @property
    def is_symmetric(self) -> bool:
        """Whether all terms are zero that do not depend on theta alone."""
        return not (self.is_bent or self.skew)

    @property
    def matrix(self) -> np.ndarray:
        """OpenCV's camera matrix [3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @property
    def coefficients(self) -> np.ndarray:
        """OpenCV's distortion coefficients, at least four."""
        return np.array(self.distortion or (0.0,) * 4)

    @cached_property
    def max_radius(self) -> float:
        """Largest undistorted radius tan(theta) below which the distorted radius grows."""
        if not self.distortion:
            return np.inf
        azimuths = np.arange(AZIMUTHS) * 2 * np.pi / AZIMUTHS if self.is_bent else (0.0,)
        return min(self.growing_until(np.array([np.cos(phi), np.sin(phi)])) for phi in azimuths)

    def growing_until(self, towards: np.ndarray) -> float:
        """Largest undistorted radius tan(theta) up to which pixels move on along the direction ``towards`` [2]."""
        rho = np.linspace(1e-3, MAX_TANGENT, 4096)
        line = np.stack([rho * towards[0], rho * towards[1], 1 + 0 * rho], -1)
        uv = cv2.projectPoints(line, np.zeros(3), np.zeros(3), np.eye(3), self.coefficients)[0][:, 0]
        falling = np.flatnonzero(~(np.diff(uv @ towards) > 0))
        return float(rho[falling[0]]) if falling.size else float(rho[-1])

    @property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians; a right angle itself is not seen."""
        return float(np.arctan(self.max_radius))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in camera axes -> pixels [..., 2], and which of them the lens sees [...]."""
        points = np.asarray(points, float)
        z = points[..., 2]
        front = (z > AXIS) & np.isfinite(points).all(-1)
        safe = np.where(front[..., None], points, (0, 0, 1.0))
        valid = front & (np.hypot(safe[..., 0], safe[..., 1]) <= self.max_radius * safe[..., 2])
        safe = np.where(valid[..., None], safe, (0, 0, 1.0))
        pixels = cv2.projectPoints(safe.reshape(-1, 3), np.zeros(3), np.zeros(3), self.matrix, self.coefficients)[0]
        return skewed(pixels.reshape(*points.shape[:-1], 2), self.skew / self.fy, self.cy), valid

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] -> unit rays [..., 3] in camera axes, and which of them mean something [...]."""
        pixels = np.asarray(pixels, float)
        finite = np.isfinite(pixels).all(-1)
        safe = np.where(finite[..., None], pixels, (self.cx, self.cy))
        straight = skewed(safe, -self.skew / self.fy, self.cy)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
        flat = cv2.undistortPoints(straight.reshape(-1, 1, 2), self.matrix, self.coefficients, criteria=criteria)
        xy = np.nan_to_num(flat.reshape(pixels.shape), posinf=0, neginf=0)
        rays = np.concatenate([xy, np.ones_like(xy[..., :1])], -1)
        back, in_domain = self.project(rays)
        valid = finite & in_domain & (np.linalg.norm(back - safe, axis=-1) < BACK_WITHIN)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        return center_problem(self, size) or self.fold_problem(size)

    def fold_problem(self, size: tuple[int, int]) -> str:
        """How near the axis the distortion folds the picture, if that is far inside; empty when it is not."""
        if not self.distortion:
            return ""
        if not self.unproject(np.array([self.cx + 1, self.cy]))[1]:
            return "its distortion cannot be undone a pixel from the axis"
        edge, _ = self.project(np.array([np.sin(self.max_theta - 1e-9), 0, np.cos(self.max_theta - 1e-9)]))
        if np.hypot(*(edge - (self.cx, self.cy))) >= min(size) * LEAST_RADIUS:
            return ""
        return f"the image radius stops growing at {np.degrees(self.max_theta):.0f} degrees from the axis"

    def fields(self) -> dict[str, Any]:
        """The lens in the fields of our own layout."""
        skew = {"skew": self.skew} if self.skew else {}
        center, focal = [self.cx, self.cy], [self.fx, self.fy]
        return {"model": "pinhole", "center": center, "focal": focal, "distortion": list(self.distortion), **skew}


def parse_pinhole(data: dict[str, Any]) -> PinholeLens:
    """The lens of our own layout's fields. Raises KeyError or ValueError."""
    fx, fy, cx, cy = focal_and_center(data)
    distortion = opencv_distortion(data.get("distortion", []))
    return PinholeLens(fx, fy, cx, cy, distortion, number(data.get("skew", 0.0)))


def opencv_distortion(values: Any) -> tuple[float, ...]:
    """OpenCV's distortion numbers out of a field. Raises ValueError for a count that OpenCV does not take."""
    distortion = numbers(values)
    if len(distortion) not in COUNTS:
        raise ValueError(f"distortion has {len(distortion)} numbers, OpenCV takes 0, 4, 5, 8, 12 or 14")
    return distortion
