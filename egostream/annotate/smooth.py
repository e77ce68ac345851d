"""``--smooth``: joints filtered forward and backward in time, so that nothing comes late.

A Kalman filter and the smoother of Rauch, Tung and Striebel (AIAA Journal 3, 1965). Each joint is a point whose
acceleration wanders:

    state      x = (position, velocity, acceleration), of each axis by itself
    step       x' = A x + noise of covariance Q;  A = [[1, t, t^2/2], [0, 1, t], [0, 0, 1]]
               Q = JERK [[t^5/20, t^4/8, t^3/6], [t^4/8, t^3/3, t^2/2], [t^3/6, t^2/2, t]]
    measured   z = position + noise of deviation SIGMA / trust;  trust = confidence / SURE_CONFIDENCE, LEAST_TRUST to 1
    backward   x_k += G (x_k+1 - A x_k);  G = P_k A^T (A P_k A^T + Q)^-1

t is the true time between frames, in seconds, so that rates may vary and frames may lack. docs/recordings.md has what
the filter gains, and what the weight by confidence does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from egostream.infer.smooth import LEAST_TRUST, SURE_CONFIDENCE
from egostream.types import Pose

#: Deviation of a sure joint, metres, and how fast accelerations wander, m^2/s^5. Only JERK / SIGMA^2 counts: the two
#: were chosen together, on rendered clips with known joints (docs/recordings.md).
SIGMA, JERK = 0.02, 1000.0
#: Variances of the first state, of which nothing is known: metres, m/s and m/s^2, squared.
FIRST_VARIANCES = 1.0, 25.0, 400.0
NS = 1e9


def smoothed(poses: Sequence[Pose], breaks: Collection[int]) -> list[Pose]:
    """The poses of a recording with their joints smoothed. breaks: numbers of the frames where time begins anew."""
    return [pose for stretch in stretches(poses, breaks) for pose in smoothed_stretch(stretch)]


def stretches(poses: Sequence[Pose], breaks: Collection[int]) -> Iterator[Sequence[Pose]]:
    """A recording's poses in pieces without a break: each piece continues what came before."""
    begins = [place for place, pose in enumerate(poses) if place == 0 or pose.seq in breaks]
    for begin, end in zip(begins, [*begins[1:], len(poses)]):
        yield poses[begin:end]


def smoothed_stretch(poses: Sequence[Pose]) -> Iterator[Pose]:
    """The poses of one stretch, smoothed."""
    t = np.array([pose.t_capture_ns - poses[0].t_capture_ns for pose in poses]) / NS
    measured = np.stack([pose.joints for pose in poses]).astype(float)
    confidence = np.stack([pose.confidence for pose in poses])
    for pose, joints in zip(poses, smooth_joints(t, measured, confidence)):
        yield replace(pose, joints=joints.astype(pose.joints.dtype))


def smooth_joints(t: np.ndarray, measured: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Joints [F, J, 3] in metres at the times t [F] in seconds, smoothed by the module's equations.

    confidence [F, J] in 0..1: how far to trust each.
    """
    deviations = SIGMA / np.clip(confidence / SURE_CONFIDENCE, LEAST_TRUST, 1.0)
    states, variances = filtered(t, measured, deviations**2)
    for k in range(len(t) - 2, -1, -1):
        A, Q = step(t[k + 1] - t[k])
        predicted = A @ variances[k] @ A.T + Q  # [J, 3, 3]
        gain = np.linalg.solve(predicted, A @ variances[k]).transpose(0, 2, 1)
        states[k] += gain @ (states[k + 1] - A @ states[k])
    return states[:, :, 0]


def filtered(t: np.ndarray, measured: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The forward pass: states [F, J, 3 orders, 3 axes] and their covariances [F, J, 3, 3], each of its past alone.

    noise [F, J]: variances of what was measured.
    """
    F, J, _ = measured.shape
    states, variances = np.zeros((F, J, 3, 3)), np.zeros((F, J, 3, 3))
    state, variance = np.zeros((J, 3, 3)), np.tile(np.diag(FIRST_VARIANCES), (J, 1, 1))
    state[:, 0] = measured[0]
    for k in range(F):
        if k:
            A, Q = step(t[k] - t[k - 1])
            state, variance = A @ state, A @ variance @ A.T + Q
        gain = variance[:, :, 0] / (variance[:, 0, 0] + noise[k])[:, None]  # [J, 3]
        state = state + gain[:, :, None] * (measured[k] - state[:, 0])[:, None]
        variance = variance - gain[:, :, None] * variance[:, None, 0]
        states[k], variances[k] = state, variance
    return states, variances


def step(t: float) -> tuple[np.ndarray, np.ndarray]:
    """A and Q of the module's equations, [3, 3] each, for ``t`` seconds."""
    A = np.array([[1, t, t**2 / 2], [0, 1, t], [0, 0, 1]])
    Q = np.array([[t**5 / 20, t**4 / 8, t**3 / 6], [t**4 / 8, t**3 / 3, t**2 / 2], [t**3 / 6, t**2 / 2, t]])
    return A, JERK * Q
