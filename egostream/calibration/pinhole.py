"""Pinhole cameras with OpenCV's distortion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from egostream.calibration.lens import AXIS


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
        pixels = cv2.projectPoints(
            safe.reshape(-1, 3), np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion or (0.0,) * 4)
        )[0]
        return pixels.reshape(*points.shape[:-1], 2), valid

    def unproject(self, pixels):
        pixels = np.asarray(pixels, float)
        finite = np.isfinite(pixels).all(-1)
        safe = np.where(finite[..., None], pixels, (self.cx, self.cy))
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
        flat = cv2.undistortPoints(
            safe.reshape(-1, 1, 2), self.matrix, np.array(self.distortion or (0.0,) * 4), criteria=criteria
        )
        xy = np.nan_to_num(flat.reshape(pixels.shape), posinf=0, neginf=0)
        rays = np.concatenate([xy, np.ones_like(xy[..., :1])], -1)
        # The iteration does not converge everywhere: only a ray that projects back is an answer.
        back, in_domain = self.project(rays)
        valid = finite & in_domain & (np.linalg.norm(back - safe, axis=-1) < 0.01)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid
