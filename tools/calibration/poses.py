"""Poses of a flat board from rays, without tan(theta): rays may lie at 90 degrees from the optical axis and beyond."""

from __future__ import annotations

import numpy as np

LEAST_CORNERS = 6  # a pose and its noise need more than the four corners that determine one


def turned(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices [V, 3, 3] of rotation vectors [V, 3] (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)
    # np.sinc(a / pi) is sin(a) / a, also at 0; and 1 - cos(a) = 2 sin(a / 2)^2.
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / 2 / np.pi) ** 2 * cross @ cross


def board_pose(points: np.ndarray, rays: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Rotation [3, 3] and translation [3], board to camera, from points [N, 3] (z = 0), rays [N, 3] and their mask [N].

    ray x (H (x, y, 1)) = 0 is linear in H = [r1 r2 t], which is found up to a factor (direct linear transformation).
    None when too few rays are valid, or they determine no plane.
    """
    if valid.sum() < LEAST_CORNERS:
        return None
    plane, rays = points[valid][:, :2], rays[valid]
    middle = plane.mean(0)
    size = np.abs(plane - middle).max()
    flat = np.concatenate([(plane - middle) / size, np.ones((len(plane), 1))], -1)
    rows = np.cross(rays[:, None, None, :], np.eye(3)[None, None]) * flat[:, :, None, None]  # [N, 3 columns, 3, 3]
    system = rows.transpose(0, 3, 1, 2).reshape(-1, 9)
    solution = np.linalg.svd(system, full_matrices=False)[2][-1]
    matrix = solution.reshape(3, 3).T
    if (np.einsum("ij,ij->i", rays, flat @ matrix.T) < 0).mean() > 0.5:
        matrix = -matrix
    lengths = np.linalg.norm(matrix[:, :2], axis=0)
    if lengths.min() < 1e-9 * max(lengths.max(), 1e-300):
        return None
    u, _, vt = np.linalg.svd(matrix[:, :2] / lengths.mean(), full_matrices=False)
    first = u @ vt
    rotation = np.column_stack([first, np.cross(first[:, 0], first[:, 1])])
    return rotation, matrix[:, 2] * size / lengths.mean() - rotation[:, :2] @ middle
