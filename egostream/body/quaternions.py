"""Quaternions (x, y, z, w) in arrays [..., 4], with few NumPy calls each."""

from __future__ import annotations

import numpy as np

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])
CONJUGATE = np.array([-1.0, -1.0, -1.0, 1.0])
LEAST_NORM = 1e-12


def product_table() -> np.ndarray:
    """Table [16, 4]: the outer product of two quaternions, flattened, times this is their product."""
    table = np.zeros((4, 4, 4))
    x, y, z, w = range(4)
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        table[a, b, c], table[b, a, c] = 1, -1  # i j = k, j i = -k
        table[a, w, a] = table[w, a, a] = 1
        table[a, a, w] = -1
    table[w, w, w] = 1
    return table.reshape(16, 4)


def matrix_table() -> np.ndarray:
    """Table [16, 9]: the outer product of a unit quaternion with itself, flattened, times this is its matrix."""
    table = np.zeros((4, 4, 3, 3))
    x, y, z, w = range(4)
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        table[w, w, a, a] = table[a, a, a, a] = 1
        table[b, b, a, a] = table[c, c, a, a] = -1
        table[a, b, a, b] = table[a, b, b, a] = 2
        table[w, c, b, a], table[w, c, a, b] = 2, -2
    return table.reshape(16, 9)


PRODUCT, MATRIX = product_table(), matrix_table()


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a after b, [..., 4]: the rotation that turns by b, then by a."""
    outer = a[..., :, None] * b[..., None, :]
    return outer.reshape(*outer.shape[:-2], 16) @ PRODUCT


def conjugate(q: np.ndarray) -> np.ndarray:
    """The opposite rotations of unit quaternions [..., 4]."""
    return q * CONJUGATE


def matrices(q: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    outer = q[..., :, None] * q[..., None, :]
    shape = outer.shape[:-2]
    return (outer.reshape(*shape, 16) @ MATRIX).reshape(*shape, 3, 3)


def rotate(q: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] turned by unit quaternions [..., 4]."""
    return (matrices(q) @ vectors[..., None])[..., 0]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors or quaternions [..., n] at length 1. One of length 0 stays 0."""
    length = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return vectors / np.maximum(length, LEAST_NORM)


def about(axis: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Rotations [..., 4] by an angle [...], in radians, about unit axes [..., 3]."""
    half = np.asarray(angle, float)[..., None] / 2
    return np.concatenate([axis * np.sin(half), np.cos(half) * np.ones_like(axis[..., :1])], axis=-1)
