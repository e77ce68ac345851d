"""Rotations of a head: unit quaternions [x, y, z, w] as in the messages, and matrices."""

from __future__ import annotations

import math

import numpy as np

#: Camera axes (x right, y down, z forward) and OpenXR's (x right, y up, z backward) of one and the same thing.
CAMERA_TO_OPENXR = np.diag([1.0, -1.0, -1.0])
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """The rotation matrix [3, 3] of a unit quaternion [4]."""
    x, y, z, w = (float(value) for value in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """The unit quaternion [4] of a rotation matrix [3, 3], w not negative.

    The eigenvector of the largest eigenvalue of a symmetric matrix of its entries (Bar-Itzhack 2000): it is exact for
    a rotation, and the nearest one for what is nearly so.
    """
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(rotation, float)
    entries = np.array(
        [
            [a - e - i, 0, 0, 0],
            [b + d, e - a - i, 0, 0],
            [c + g, f + h, i - a - e, 0],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    found = np.linalg.eigh(entries, UPLO="L")[1][:, -1]
    return found if found[3] >= 0 else -found


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The quaternion [4] that turns as ``second`` and then as ``first``."""
    ax, ay, az, aw = first
    bx, by, bz, bw = second
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def inverse(quaternion: np.ndarray) -> np.ndarray:
    """The quaternion [4] that turns back."""
    return quaternion * np.array([-1.0, -1.0, -1.0, 1.0])


def power(quaternion: np.ndarray, share: float) -> np.ndarray:
    """The quaternion [4] that turns about the same axis by ``share`` times the angle, the short way."""
    turn = quaternion if quaternion[3] >= 0 else -quaternion
    sine = float(np.linalg.norm(turn[:3]))
    half = float(np.arctan2(sine, turn[3])) * share
    axis = turn[:3] / sine if sine > 1e-12 else np.zeros(3)
    return np.array([*(axis * np.sin(half)), np.cos(half)])


def slerp(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """Between two unit quaternions [4]: ``start`` at 0, ``end`` at 1, beyond them outside; at constant speed."""
    return product(power(product(end, inverse(start)), share), start)


def angle(first: np.ndarray, second: np.ndarray) -> float:
    """The angle between two orientations, radians, 0 to pi: their quaternions have the chord 2 sin(angle / 4)."""
    chord = math.dist(first, second if first @ second > 0 else -second)
    return 4 * math.asin(min(1.0, chord / 2))


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] that is nearest to a matrix in the sense of least squares."""
    left, _, right = np.linalg.svd(matrix)
    return left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
