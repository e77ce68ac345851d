"""What is done to joints after the network, and why: turned to their keypoints' rays, scaled to the wearer, smoothed.

The network regresses joints beside keypoints, and the two differ by a degree or two. A keypoint is the better
direction; the joint's distance is all there is of depth. And a picture from one lens says next to nothing of how tall
the wearer is, so that the network makes everybody of mean size: who tells the stature mends that. Scaling about the
camera changes no direction.
"""

from __future__ import annotations

import numpy as np

from egostream.config import RunConfig
from egostream.graph.weights import Weights
from egostream.infer.smooth import OneEuroFilter, make_filter
from egostream.skeleton import BONES

#: Stature over the sum of the 14 bones' lengths: 0.407 with a deviation of 0.008 over the bodies that tools/make_synthetic.py draws.
STATURE_OF_BONES = 0.407
CHILDREN, PARENTS = np.array(BONES).T


class Refiner:
    """One stream's. Joints [15, 3] are in metres, camera axes.

    rays: turn joints to their keypoints' rays. stature_m: the wearer's; 0: unknown, distances stay as they are.
    """

    def __init__(self, rays: bool = False, stature_m: float = 0.0, smooth: OneEuroFilter | None = None):
        self.rays, self.stature_m, self.smooth = rays, stature_m, smooth

    def set_stature(self, stature_m: float) -> None:
        """Scale poses to another wearer from here on. 0: unknown, distances stay as they are."""
        self.stature_m = stature_m

    def reset(self) -> None:
        """Forget the past."""
        if self.smooth:
            self.smooth.reset()

    def __call__(self, t_ns: int, joints: np.ndarray, rays: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """joints of a frame captured at ``t_ns``; unit rays [15, 3] and confidence [15] in 0..1 of its keypoints.

        Returns joints in an array of their own.
        """
        finished = turned(joints, rays, confidence) if self.rays else joints
        finished = scaled(finished, self.stature_m) if self.stature_m else finished
        finished = finished.astype(joints.dtype)
        return self.smooth(t_ns, finished, confidence) if self.smooth else finished


def make_refiner(config: RunConfig, weights: Weights) -> Refiner:
    """That of a run. A network that was trained without heatmaps has no keypoints to turn to."""
    return Refiner(config.rays and weights.network.get("use_tokens", True), config.stature, make_filter(config))


def turned(joints: np.ndarray, rays: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Joints at their distance from the camera, in a direction between their own (``trust`` 0) and the ray's (1)."""
    distance = np.linalg.norm(joints, axis=-1, keepdims=True)
    own = joints / np.maximum(distance, 1e-9)
    direction = own + trust[:, None] * (rays - own)
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    return np.where(
        length > 0.5, direction / np.maximum(length, 0.5) * distance, joints
    )  # nearly opposite ones: no keypoint of this joint


def scaled(joints: np.ndarray, stature_m: float) -> np.ndarray:
    """Joints of a wearer so tall, moved along their rays."""
    length = np.linalg.norm(joints[CHILDREN] - joints[PARENTS], axis=-1).sum()
    return joints * (stature_m / (STATURE_OF_BONES * length)) if length > 0 else joints
