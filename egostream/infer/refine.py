"""What is done to joints after the network, and why: turned to their keypoints' rays, scaled to the wearer, smoothed.

The network regresses joints beside keypoints, and the two differ by a degree or two. A keypoint is the better
direction; the joint's distance is all there is of depth. A picture from one lens says next to nothing of how tall the
wearer is: the network makes everybody of mean size. Whoever tells the stature mends that. Scaling about the camera
changes no direction. A network without a backbone takes the stature itself, which is better by some 2 mm.
"""

from __future__ import annotations

import numpy as np

from egostream.config import RunConfig
from egostream.graph.ports import BODY_FORM
from egostream.graph.weights import Weights
from egostream.infer.smooth import OneEuroFilter, make_filter
from egostream.skeleton import BONES, STATURE_OF_BONES

CHILDREN, PARENTS = np.array(BONES).T
#: Below this length of the mean of two unit directions (120 degrees apart or more), the keypoint is not this joint's.
LEAST_AGREEMENT = 0.5
#: Power of the confidence that joints made of the body are turned by. Of 1, 2, 4, 8 and 16, this left the least error
#: on 138 recordings that the eighth set was validated on (docs/weights-history.md).
SURE_OF_BODY = 4


class Refiner:
    """Refines one stream's joints [15, 3], in metres and camera axes.

    has_rays: turn joints to their keypoints' rays. stature_m: the wearer's; 0: unknown, distances stay as they are.
    smooth: the stream's filter, or None. from_body: the network made the joints of these very rays, and of the stature:
    nothing is scaled, and only very sure keypoints turn a joint (``SURE_OF_BODY``).
    """

    def __init__(
        self,
        has_rays: bool = False,
        stature_m: float = 0.0,
        smooth: OneEuroFilter | None = None,
        from_body: bool = False,
    ):
        self.has_rays, self.stature_m, self.smooth, self.from_body = has_rays, stature_m, smooth, from_body

    def reset(self) -> None:
        """Forget the past."""
        if self.smooth:
            self.smooth.reset()

    def set_stature(self, stature_m: float) -> None:
        """Take the joints from now on for those of a wearer so tall, in metres; 0: unknown."""
        self.stature_m = stature_m

    def __call__(self, t_ns: int, joints: np.ndarray, rays: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Refined joints [15, 3] of a frame captured at ``t_ns``, in an array of their own.

        rays [15, 3]: unit directions of its keypoints; confidence [15] in 0..1: how far to trust each.
        """
        trust = confidence**SURE_OF_BODY if self.from_body else confidence
        refined = turned_to_rays(joints, rays, trust) if self.has_rays else joints
        if self.stature_m and not self.from_body:
            refined = scaled_to_stature(refined, self.stature_m)
        refined = refined.astype(joints.dtype)
        return self.smooth(t_ns, refined, confidence) if self.smooth else refined


def make_refiner(config: RunConfig, weights: Weights) -> Refiner:
    """The refiner that a run's settings ask for. A network trained without heatmaps has no keypoints to turn to."""
    has_rays = config.rays and weights.network.get("use_tokens", True)
    return Refiner(has_rays, config.stature, make_filter(config), from_body=weights.form == BODY_FORM)


def turned_to_rays(joints: np.ndarray, rays: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Joints [15, 3] at their distance, in a direction between their own (trust 0) and their ray's (trust 1)."""
    distance = np.linalg.norm(joints, axis=-1, keepdims=True)
    own = joints / np.maximum(distance, 1e-9)
    direction = own + trust[:, None] * (rays - own)
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    turned = direction / np.maximum(length, LEAST_AGREEMENT) * distance
    return np.where(length > LEAST_AGREEMENT, turned, joints)


def scaled_to_stature(joints: np.ndarray, stature_m: float) -> np.ndarray:
    """Joints [15, 3] of a wearer so tall, moved along their rays."""
    length = np.linalg.norm(joints[CHILDREN] - joints[PARENTS], axis=-1).sum()
    return joints * (stature_m / (STATURE_OF_BONES * length)) if length > 0 else joints
