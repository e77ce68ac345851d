"""Triangles to draw, and the simple solids that rooms are built of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UPRIGHT = np.eye(3)


@dataclass
class Mesh:
    """Triangles with their looks. materials: index into the scene's table, per vertex."""

    vertices: np.ndarray  # float32 [V, 3] world
    normals: np.ndarray  # float32 [V, 3]
    uv: np.ndarray  # float32 [V, 2] metres on the surface
    materials: np.ndarray  # [V]
    faces: np.ndarray  # int32 [F, 3]

    def interleaved(self) -> bytes:
        """The vertices as OpenGL reads them: position, normal, uv and material, float32 each."""
        return np.hstack([self.vertices, self.normals, self.uv, self.materials[:, None]]).astype("f4").tobytes()


def grid(origin, across, down, cells: tuple[int, ...], material: int) -> Mesh:
    """A tessellated parallelogram. uv in metres."""
    a, b = np.meshgrid(np.linspace(0, 1, cells[0] + 1), np.linspace(0, 1, cells[1] + 1))
    vertices = np.asarray(origin) + a.reshape(-1, 1) * across + b.reshape(-1, 1) * down
    normal = np.cross(across, down)
    normal = normal / max(np.linalg.norm(normal), 1e-9)
    i = (np.arange(cells[1])[:, None] * (cells[0] + 1) + np.arange(cells[0])).ravel()
    step = cells[0] + 1
    faces = np.concatenate([np.stack([i, i + 1, i + step], 1), np.stack([i + 1, i + step + 1, i + step], 1)])
    uv = np.stack([a.ravel() * np.linalg.norm(across), b.ravel() * np.linalg.norm(down)], 1)
    V = len(vertices)
    return Mesh(
        vertices.astype("f4"),
        np.tile(normal, (V, 1)).astype("f4"),
        uv.astype("f4"),
        np.full(V, material),
        faces.astype("i4"),
    )


def box(centre, size, material: int, turn=UPRIGHT, cell: float = 0.25) -> Mesh:
    """A tessellated box, size = full extents, turned by a rotation."""
    half = np.asarray(size, float) / 2
    parts = []
    for axis in range(3):
        u, v = [i for i in range(3) if i != axis]
        for sign in (-1, 1):
            corner, across, down = -half.copy(), np.zeros(3), np.zeros(3)
            corner[axis] = sign * half[axis]
            across[u], down[v] = size[u], size[v]
            if (sign > 0) != (axis != 1):  # outward normals
                across, down = down, across
            cells = tuple(int(np.clip(np.ceil(np.linalg.norm(edge) / cell), 1, 12)) for edge in (across, down))
            parts.append(grid(turn @ corner + centre, turn @ across, turn @ down, cells, material))
    return merge(parts)


def tube(start, end, radius: float, material: int, sides: int = 8, rings: int = 4) -> Mesh:
    """A cylinder between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = (end - start) / max(np.linalg.norm(end - start), 1e-9)
    right = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    right /= np.linalg.norm(right)
    up = np.cross(axis, right)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    normal = np.cos(angle)[:, None] * right + np.sin(angle)[:, None] * up
    t = np.linspace(0, 1, rings + 1)
    vertices = (start + t[:, None, None] * (end - start) + radius * normal).reshape(-1, 3)
    i = (np.arange(rings)[:, None] * (sides + 1) + np.arange(sides)).ravel()
    faces = np.concatenate([np.stack([i, i + 1, i + sides + 1], 1), np.stack([i + 1, i + sides + 2, i + sides + 1], 1)])
    uv = np.stack(np.broadcast_arrays(angle * radius, t[:, None] * np.linalg.norm(end - start)), -1).reshape(-1, 2)
    V = len(vertices)
    return Mesh(
        vertices.astype("f4"),
        np.tile(normal, (rings + 1, 1)).astype("f4"),
        uv.astype("f4"),
        np.full(V, material),
        faces.astype("i4"),
    )


def merge(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    join = lambda name: np.concatenate([getattr(m, name) for m in meshes])
    return Mesh(
        join("vertices"),
        join("normals"),
        join("uv"),
        join("materials"),
        np.concatenate([m.faces + o for m, o in zip(meshes, offsets)]),
    )


def yaw(angle: float) -> np.ndarray:
    """The rotation [3, 3] by an angle (radians, to the left) about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
