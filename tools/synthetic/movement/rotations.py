"""Rotations over leading axes: matrices [..., 3, 3], unit quaternions [..., 4] as (w, x, y, z), angles in radians."""

from __future__ import annotations

import numpy as np

AXES = {"X": np.array([1.0, 0, 0]), "Y": np.array([0, 1.0, 0]), "Z": np.array([0, 0, 1.0])}


def about(axis: str | np.ndarray, angle) -> np.ndarray:
    """Right-handed rotations by ``angle`` [...] about a coordinate axis ("X") or unit vectors [..., 3] (Rodrigues)."""
    axis = AXES[axis] if isinstance(axis, str) else np.asarray(axis, float)
    angle = np.asarray(angle, float)[..., None, None]
    cross = skew(axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def skew(v: np.ndarray) -> np.ndarray:
    """The matrix K with K @ u = v × u."""
    x, y, z = np.moveaxis(np.asarray(v, float), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)


def euler(order: str, angles: np.ndarray) -> np.ndarray:
    """R = R_order[0] @ R_order[1] @ ... for ``angles`` [..., len(order)]: intrinsic, as BVH lists its channels."""
    R = np.eye(3)
    for k, axis in enumerate(order):
        R = R @ about(axis, angles[..., k])
    return R


def apply(R: np.ndarray, v: np.ndarray) -> np.ndarray:
    """R @ v for vectors [..., 3]."""
    return np.einsum("...ij,...j->...i", R, v)


def transpose(R: np.ndarray) -> np.ndarray:
    """The inverse rotations."""
    return np.swapaxes(R, -1, -2)


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors [..., n] of length 1; one of no length stays 0."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def swing(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes one direction (3,) to another; any half-turn when they are opposite."""
    a, b = unit(np.asarray(source, float)), unit(np.asarray(target, float))
    axis, cosine = np.cross(a, b), float(a @ b)
    if np.linalg.norm(axis) < 1e-9:
        return np.eye(3) if cosine > 0 else about(unit(np.cross(a, np.eye(3)[np.argmin(abs(a))])), np.pi)
    return about(unit(axis), np.arctan2(np.linalg.norm(axis), cosine))


def to_quaternion(R: np.ndarray) -> np.ndarray:
    """Quaternions of matrices. Each of four formulas divides by one component; the one with the largest is taken."""
    m = lambda i, j: R[..., i, j]
    trace = m(0, 0) + m(1, 1) + m(2, 2)
    outer = np.stack(  # row k is 4 q_k q: the outer product of q with itself, from sums and differences of R's entries
        [
            1 + trace, m(2, 1) - m(1, 2), m(0, 2) - m(2, 0), m(1, 0) - m(0, 1),
            m(2, 1) - m(1, 2), 1 - trace + 2 * m(0, 0), m(0, 1) + m(1, 0), m(0, 2) + m(2, 0),
            m(0, 2) - m(2, 0), m(0, 1) + m(1, 0), 1 - trace + 2 * m(1, 1), m(1, 2) + m(2, 1),
            m(1, 0) - m(0, 1), m(0, 2) + m(2, 0), m(1, 2) + m(2, 1), 1 - trace + 2 * m(2, 2),
        ],
        -1,
    ).reshape(*R.shape[:-2], 4, 4)  # fmt: skip
    largest = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    return unit(np.take_along_axis(outer, largest[..., None, None], -2)[..., 0, :])


def from_quaternion(q: np.ndarray) -> np.ndarray:
    """Matrices of unit quaternions."""
    w, v = q[..., 0, None, None], q[..., 1:]
    cross = skew(v)
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def slerp(R0: np.ndarray, R1: np.ndarray, weight) -> np.ndarray:
    """Rotations on the shorter arc from R0 (weight 0) to R1 (weight 1), at constant angular speed."""
    q0, q1 = to_quaternion(R0), to_quaternion(R1)
    dot = np.sum(q0 * q1, -1, keepdims=True)
    q1, dot = np.where(dot < 0, -q1, q1), np.abs(dot)
    angle = np.arccos(np.clip(dot, 0, 1))
    weight = np.asarray(weight, float)[..., None]
    small = angle < 1e-4  # there a straight line is as good, and sin(angle) cannot be divided by
    sine = np.where(small, 1.0, np.sin(angle))
    a = np.where(small, 1 - weight, np.sin((1 - weight) * angle) / sine)
    b = np.where(small, weight, np.sin(weight * angle) / sine)
    return from_quaternion(unit(a * q0 + b * q1))


def angle_between(R0: np.ndarray, R1: np.ndarray) -> np.ndarray:
    """Angle [...] of the rotation between two rotations; exact near 0, where the trace formula is not."""
    return 2 * np.arcsin(np.clip(np.linalg.norm(R0 - R1, axis=(-2, -1)) / np.sqrt(8), 0, 1))


def heading(R: np.ndarray) -> np.ndarray:
    """Yaw [...] of where the rotated +Z axis points, seen from above; +X is a quarter turn to the left."""
    return np.arctan2(R[..., 0, 2], R[..., 2, 2])
