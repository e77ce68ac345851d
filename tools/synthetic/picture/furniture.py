"""What stands in a room: tables, chairs, clutter, and the things that a movement needs."""

from __future__ import annotations

import numpy as np

from tools.synthetic.picture.materials import Materials, random_colour
from tools.synthetic.picture.shapes import Mesh, box, grid, tube, yaw


def table(rng, at, turn, materials: Materials, size=None, height=None) -> list[Mesh]:
    size = size or (rng.uniform(0.6, 1.8), rng.uniform(0.5, 0.9))
    height = height or rng.uniform(0.45, 1.05)
    top = materials.add(random_colour(rng, 0.6), rng.choice(["wood", "plain"]), specular=rng.uniform(0, 0.3))
    leg = materials.add(random_colour(rng, 0.9), "plain")
    meshes = [box(at + (0, height - 0.02, 0), (size[0], 0.04, size[1]), top, turn, 0.15)]
    for sx in (-1, 1):
        for sz in (-1, 1):
            foot = at + turn @ (sx * (size[0] / 2 - 0.04), 0, sz * (size[1] / 2 - 0.04))
            meshes.append(tube(foot, foot + (0, height - 0.02, 0), 0.025, leg))
    for _ in range(rng.integers(0, 5)):  # things lying on it
        meshes += clutter(
            rng,
            at + turn @ (rng.uniform(-0.4, 0.4) * size[0], 0, rng.uniform(-0.4, 0.4) * size[1]) + (0, height, 0),
            materials,
        )
    return meshes


def chair(rng, at, turn, materials: Materials, height=None) -> list[Mesh]:
    height, width = height or rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.55)
    seat = materials.add(random_colour(rng, 0.7), rng.choice(["plain", "wood", "carpet"]), specular=rng.uniform(0, 0.2))
    leg = materials.add(random_colour(rng, 0.95), "plain", specular=0.2)
    meshes = [box(at + (0, height - 0.03, 0), (width, 0.06, width), seat, turn, 0.15)]
    meshes.append(box(at + turn @ (0, height + 0.28, -width / 2), (width, 0.4, 0.04), seat, turn, 0.15))
    for sx in (-1, 1):
        for sz in (-1, 1):
            foot = at + turn @ (sx * width * 0.45, 0, sz * width * 0.45)
            meshes.append(tube(foot, foot + (0, height + (0.1 if sz < 0 else -0.03), 0), 0.015, leg, 6))
    return meshes


def clutter(rng, at, materials: Materials) -> list[Mesh]:
    """One small thing standing at a point: box, paper, screen, can or stick."""
    turn = yaw(rng.uniform(0, 2 * np.pi))
    kind = rng.choice(["box", "paper", "screen", "can", "stick"])
    if kind == "paper":
        size = rng.uniform(0.15, 0.5, 2)
        corner = at + turn @ (-size[0] / 2, 0.006, -size[1] / 2)
        printed = materials.add((0.5, 0.5, 0.5), "page", 1 / max(size), 1.0)
        return [grid(corner, turn @ (0, 0, size[1]), turn @ (size[0], 0, 0), (3, 3), printed)]
    if kind == "screen":
        material = materials.add((0.5, 0.5, 0.5), "page", 3.0, 1.0, 0.3, glow=rng.uniform(0, 1))
        return [
            box(at + (0, 0.12, 0), (0.35, 0.24, 0.02), material, turn, 0.1),
            box(at + turn @ (0, 0.01, 0.13), (0.35, 0.02, 0.24), material, turn, 0.1),
        ]
    material = materials.add(
        random_colour(rng),
        rng.choice(["plain", "print", "stripes", "wood"]),
        rng.uniform(1, 5),
        rng.uniform(0.2, 1),
        rng.uniform(0, 0.3),
    )
    if kind == "can":
        radius, height = rng.uniform(0.03, 0.15), rng.uniform(0.1, 0.5)
        return [
            tube(at, at + (0, height, 0), radius, material, 12),
            grid(
                at + (-radius * 0.7, height, -radius * 0.7),
                np.array([0, 0, 1.4 * radius]),
                np.array([1.4 * radius, 0, 0]),
                (2, 2),
                material,
            ),
        ]
    if kind == "stick":
        return [
            tube(
                at,
                at + turn @ (rng.uniform(-0.3, 0.3), rng.uniform(0.3, 1.6), 0),
                rng.uniform(0.008, 0.04),
                material,
                6,
                8,
            )
        ]
    size = rng.uniform(0.05, 0.5, 3)
    return [box(at + (0, size[1] / 2, 0), size, material, turn)]


def far_enough(rng, reach: float, path, clear: float):
    """A floor point [3] within ``reach`` of the path's middle, ``clear`` from the path; None: there is no room."""
    for _ in range(12):
        at = np.array(
            [rng.uniform(-reach, reach) + path[:, 0].mean(), 0, rng.uniform(-reach, reach) + path[:, 2].mean()]
        )
        if np.linalg.norm((path - at)[:, [0, 2]], axis=1).min() > clear:
            return at
    return None


def furniture(rng, reach: float, path: np.ndarray, materials: Materials) -> list[Mesh]:
    """What stands about, clear of the path."""
    meshes: list[Mesh] = []
    for _ in range(int(rng.integers(2, 14))):
        if len(materials.tint) > 44:
            break
        kind = rng.choice(["table", "chair", "chair", "clutter", "clutter", "cupboard", "mat"])
        at = far_enough(rng, reach, path, {"table": 1.0, "cupboard": 0.9, "chair": 0.65, "mat": 0.0}.get(kind, 0.45))
        if at is None:
            continue
        spin = yaw(rng.uniform(0, 2 * np.pi))
        if kind == "table":
            meshes += table(rng, at, spin, materials)
        elif kind == "chair":
            meshes += chair(rng, at, spin, materials)
        elif kind == "cupboard":
            size = (rng.uniform(0.4, 1.6), rng.uniform(0.5, 2.0), rng.uniform(0.3, 0.6))
            front = materials.add(
                random_colour(rng, 0.6), rng.choice(["wood", "plain", "print"]), 1.0, rng.uniform(0.1, 1)
            )
            meshes.append(box(at + (0, size[1] / 2, 0), size, front, spin))
        elif kind == "mat":
            size = rng.uniform(0.1, 2.0, 2)
            tint, weave = random_colour(rng, 0.2), rng.choice(["carpet", "print", "plaid", "plain"])
            meshes.append(mat(at, spin, size, materials.add(tint, weave, rng.uniform(0.5, 2), rng.uniform(0.2, 1))))
        else:
            meshes += clutter(rng, at, materials)
    return meshes


def mat(at, spin, size, material: int) -> Mesh:
    return grid(
        at + spin @ (-size[0] / 2, 0.008, -size[1] / 2),
        spin @ (0, 0, size[1]),
        spin @ (size[0], 0, 0),
        (8, 8),
        material,
    )


def fixed_props(rng, props, materials: Materials) -> list[Mesh]:
    """What the movement sits on, leans on or steps on."""
    meshes, step = [], None
    for prop in props:
        spin = yaw(getattr(prop, "yaw", 0.0))
        centre, size = np.asarray(prop.centre, float), np.asarray(prop.size, float)
        top = float(centre[1] + size[1] / 2)
        if prop.kind == "seat":
            meshes += chair(rng, centre * (1, 0, 1), spin, materials, height=top)
        elif prop.kind == "table":
            meshes += table(rng, centre * (1, 0, 1), spin, materials, (float(size[0]), float(size[2])), top)
        else:
            step = (
                materials.add(random_colour(rng, 0.8), rng.choice(["wood", "plain"]), 1.0, 0.5)
                if step is None
                else step
            )
            meshes.append(box(centre, size, step, spin))
    return meshes
