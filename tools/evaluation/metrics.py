"""Pose errors as the field reports them. Joints [F, 15, 3] in metres; results in millimetres unless said otherwise.

MPJPE is the mean joint distance in the camera's frame, absolute, not root-relative. PA-MPJPE is the same after aligning
each frame by rotation, translation and scale (Procrustes). Both follow the AG-EgoPose paper's evaluation.
"""

from __future__ import annotations

import numpy as np

from egostream.truth import joint_distances_mm

#: Thresholds of PCK, as shares of the width of what the network sees.
PCK_SHARES = (0.05, 0.10)


def joint_errors(estimated: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of every joint, mm [F, 15]. Raises ValueError on shapes that differ."""
    if np.shape(estimated) != np.shape(truth) or np.ndim(truth) != 3 or np.shape(truth)[-1] != 3:
        raise ValueError(f"expected two arrays [frames, joints, 3], got {np.shape(estimated)} and {np.shape(truth)}")
    return joint_distances_mm(estimated, truth)


def align(estimated: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Each frame of ``estimated`` moved onto ``truth`` by the best rotation, translation and scale, float64.

    Umeyama, PAMI 1991: never a reflection. A frame whose points coincide is only translated.
    """
    estimated, truth = np.asarray(estimated, np.float64), np.asarray(truth, np.float64)
    mean_e, mean_t = estimated.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    e, t = estimated - mean_e, truth - mean_t
    U, S, Vt = np.linalg.svd(np.einsum("fji,fjk->fik", t, e))  # t^T e = U S V^T
    sign = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    flip = np.ones_like(S)
    flip[:, -1] = np.where(sign == 0, 1, sign)
    R = (U * flip[:, None, :]) @ Vt
    spread = (e**2).sum((1, 2))
    scale = np.where(spread > 0, (S * flip).sum(1) / np.where(spread > 0, spread, 1), 1.0)
    return scale[:, None, None] * np.einsum("fik,fjk->fji", R, e) + mean_t


def mpjpe(estimated: np.ndarray, truth: np.ndarray) -> float:
    """Mean joint distance over all frames, mm."""
    return float(joint_errors(estimated, truth).mean())


def pa_mpjpe(estimated: np.ndarray, truth: np.ndarray) -> float:
    """Mean joint distance after aligning each frame, mm."""
    return float(joint_errors(align(estimated, truth), truth).mean())


def acceleration_errors(estimated: np.ndarray, truth: np.ndarray, fps: float) -> np.ndarray:
    """Difference of joint accelerations, m/s^2 [F - 2, 15], by second differences (HMMR, CVPR 2019)."""
    second = lambda x: np.diff(np.asarray(x, np.float64), 2, axis=0) * fps**2
    return np.linalg.norm(second(estimated) - second(truth), axis=-1)


def acceleration_error(estimated: np.ndarray, truth: np.ndarray, fps: float) -> float:
    """Mean of ``acceleration_errors``. NaN below 3 frames."""
    return mean(acceleration_errors(estimated, truth, fps))


def jerks(joints: np.ndarray, fps: float) -> np.ndarray:
    """Jerk of every joint, m/s^3 [F - 3, 15], by third differences."""
    return np.linalg.norm(np.diff(np.asarray(joints, np.float64), 3, axis=0) * fps**3, axis=-1)


def jitter(joints: np.ndarray, fps: float) -> float:
    """Mean of ``jerks``. NaN below 4 frames."""
    return mean(jerks(joints, fps))


def pck(keypoints: np.ndarray, truth: np.ndarray, threshold: float, visible: np.ndarray | None = None) -> float:
    """Share of keypoints [..., 2] within ``threshold`` of the truth, in 0..1, over the visible ones. NaN when none is.

    threshold: in the keypoints' own unit. visible: bool [...]; None: all.
    """
    near = np.linalg.norm(np.asarray(keypoints, float) - np.asarray(truth, float), axis=-1) <= threshold
    chosen = near if visible is None else near[np.asarray(visible, bool)]
    return mean(chosen)


def mean(values: np.ndarray) -> float:
    """Mean of any values; NaN, without a warning, when there is none."""
    return float(values.mean()) if values.size else float("nan")
