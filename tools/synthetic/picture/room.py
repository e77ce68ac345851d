"""Rooms to stand in: floor, walls, light and what stands about, all procedural and random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synthetic.picture.clothes import dress_materials
from tools.synthetic.picture.furniture import fixed_props, furniture
from tools.synthetic.picture.materials import Materials, linear, random_colour
from tools.synthetic.picture.render import MAX_LIGHTS, Looks
from tools.synthetic.picture.shapes import Mesh, grid, merge, yaw


@dataclass(frozen=True)
class Room:
    """Floor plan: the middle of the floor, its half sides, the height, and the axes of the walls."""

    middle: np.ndarray
    half: np.ndarray  # [2]
    height: float
    turn: np.ndarray  # [3, 3]
    outdoors: bool

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        return self.turn @ (2 * self.half[0], 0, 0), self.turn @ (0, 0, 2 * self.half[1])

    def corner(self, x: float, y: float, z: float) -> np.ndarray:
        """A point by -1..1 along the walls and metres above the floor."""
        return self.middle + self.turn @ (x * self.half[0], y, z * self.half[1])


def make_scene(rng: np.random.Generator, path: np.ndarray, props) -> tuple[Mesh, dict[str, int], Looks]:
    """A room around a walked ``path`` [F, 3] of the pelvis: its mesh, materials of regions and held props, looks.

    props: the movement's fixed props (seat, table, step), already in world metres.
    """
    materials = Materials(rng)
    worn = dress_materials(rng, materials)
    room = random_room(rng, path)
    meshes = shell(rng, room, materials)
    meshes += furniture(rng, min(room.half.max(), 4.0), path, materials)
    meshes += fixed_props(rng, props, materials)
    return merge(meshes), worn, lighting(rng, materials, room.middle, room.half, room.height, room.outdoors)


def random_room(rng, path: np.ndarray) -> Room:
    middle, spread = (path.max(0) + path.min(0)) / 2, np.ptp(path, 0)
    outdoors = bool(rng.random() < 0.12)
    half = np.array([rng.uniform(1.6, 5.0) + spread[0] / 2, rng.uniform(1.6, 5.0) + spread[2] / 2]) + (
        20.0 if outdoors else 0
    )
    height = rng.uniform(2.3, 4.0)
    aside = np.array([rng.uniform(-0.5, 0.5), 0, rng.uniform(-0.5, 0.5)]) * np.minimum(half.min() - 1.2, 2)
    return Room(
        middle * (1, 0, 1) + (0 if outdoors else 1) * aside, half, height, yaw(rng.uniform(0, np.pi / 2)), outdoors
    )


def shell(rng, room: Room, materials: Materials) -> list[Mesh]:
    """Floor, and indoors walls with what hangs on them, and a ceiling."""
    across, along = room.sides
    pattern = lambda: rng.choice(["wood", "tiles", "checks", "carpet", "plain", "plain"])
    tint = random_colour(rng, 0.65) * 0.8 + 0.1 * rng.random()
    floor = materials.add(
        tint, pattern(), rng.uniform(0.25, 1.5), rng.uniform(0.2, 0.9), rng.choice([0, rng.uniform(0, 0.12)])
    )
    meshes = [grid(room.corner(-1, 0, -1), along, across, (28, 28), floor)]
    if room.outdoors:
        return meshes
    one_wall = rng.random() < 0.6
    kinds = ["plain", "plain", "stripes", "tiles", "wood"]
    wall = lambda: materials.add(
        random_colour(rng, 0.5), rng.choice(kinds), rng.uniform(0.2, 1), rng.uniform(0.05, 0.6)
    )
    shared = wall()
    for x, z, edge in ((-1, -1, across), (-1, 1, across), (-1, -1, along), (1, -1, along)):
        meshes.append(
            grid(room.corner(x, 0, z), edge, np.array([0, room.height, 0]), (18, 8), shared if one_wall else wall())
        )
        meshes += [hanging(rng, room, x, z, edge, materials) for _ in range(rng.integers(0, 4))]
    ceiling = materials.add(linear(rng.uniform(0.6, 0.95)) * np.ones(3), "plain", glow=rng.uniform(0, 0.4))
    return [*meshes, grid(room.corner(-1, room.height, -1), across, along, (12, 12), ceiling)]


def hanging(rng, room: Room, x: float, z: float, edge: np.ndarray, materials: Materials) -> Mesh:
    """A poster, window or door on the wall that begins at the corner (x, z)."""
    inward = (
        room.middle + (0, room.height / 2, 0) - (room.corner(x, 0, z) + edge / 2 + np.array([0, room.height, 0]) / 2)
    )
    inward = inward / np.linalg.norm(inward) * 0.02
    s, w, h, y0 = rng.uniform(0, 0.8), rng.uniform(0.05, 0.3), rng.uniform(0.3, 2.0), rng.uniform(0, 1.2)
    pattern, scale = rng.choice(["page", "print", "plain"]), rng.uniform(0.3, 1.2)
    material = materials.add((0.5, 0.5, 0.5), pattern, scale, 1.0, glow=rng.choice([0, 0, rng.uniform(0, 3)]))
    return grid(
        room.corner(x, y0, z) + edge * s + inward,
        edge * w,
        np.array([0, min(h, room.height - y0), 0]),
        (8, 8),
        material,
    )


def lighting(rng, materials: Materials, middle, half, height: float, outdoors: bool) -> Looks:
    """Light from dim to glaring; the sensor's exposure comes later."""
    warmth = rng.uniform(-1, 1)
    white = np.array([1 + 0.15 * warmth, 1.0, 1 - 0.2 * warmth])
    at = middle + np.stack(
        [
            rng.uniform(-1, 1, MAX_LIGHTS) * min(half[0], 4),
            np.full(MAX_LIGHTS, height - 0.1),
            rng.uniform(-1, 1, MAX_LIGHTS) * min(half[1], 4),
        ],
        1,
    )
    share = np.sort(rng.dirichlet([0.6] * MAX_LIGHTS))[::-1]  # the first, which throws shadows, is the strongest
    if outdoors:
        at[0] = middle + np.array([*rng.normal(0, 4, 1), 9, *rng.normal(0, 4, 1)])
        share = np.array([4.0, 0, 0, 0])
    ambient = rng.uniform(0.15, 0.9)
    sky = ambient * white * (1, 1, 1 + 0.2 * outdoors)
    return Looks(
        tint=np.array(materials.tint),
        surface=np.array(materials.surface),
        textures=np.stack(materials.layers),
        sky=sky,
        ground=sky * rng.uniform(0.3, 0.8),
        light_at=at,
        light_colour=share[:, None] * white * rng.uniform(1.0, 3.5),
    )
