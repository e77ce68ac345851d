"""Rooms to stand in: floor, walls, furniture, clutter, light, and what people wear, all procedural and random."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tools.synthetic.people.body import REGIONS, Body
from tools.synthetic.picture.render import MAX_LIGHTS, TEXTURE_SIZE, Looks, Mesh

SKIN_TONES = np.array(
    [
        (0.93, 0.74, 0.63),
        (0.85, 0.63, 0.50),
        (0.76, 0.54, 0.40),
        (0.60, 0.40, 0.28),
        (0.42, 0.27, 0.18),
        (0.27, 0.17, 0.12),
    ]
)
HAIR = np.array(
    [
        (0.05, 0.04, 0.04),
        (0.14, 0.09, 0.06),
        (0.30, 0.19, 0.11),
        (0.62, 0.48, 0.28),
        (0.45, 0.43, 0.42),
        (0.45, 0.18, 0.08),
    ]
)


UPRIGHT = np.eye(3)


def linear(colour) -> np.ndarray:
    """sRGB 0..1 -> linear light."""
    return np.asarray(colour, float) ** 2.2


def random_colour(rng, grey: float = 0.4) -> np.ndarray:
    """Linear colour; with probability ``grey`` nearly without hue, as most cloth and furniture is."""
    saturation = rng.uniform(0, 0.12) if rng.random() < grey else rng.uniform(0.15, 0.9)
    value = rng.choice([rng.uniform(0.03, 0.25), rng.uniform(0.25, 0.7), rng.uniform(0.7, 0.97)], p=[0.35, 0.35, 0.3])
    hsv = np.uint8([[[rng.integers(180), 255 * saturation, 255 * value]]])
    return linear(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] / 255)


def noise(rng, octaves: int = 5, stretch=(1, 1)) -> np.ndarray:
    """Tiling-ish fractal noise, 0..1 [256, 256]."""
    total = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    for k in range(octaves):
        cells = (max(2, int(stretch[1] * 2 ** (k + 2))), max(2, int(stretch[0] * 2 ** (k + 2))))
        grid = rng.random(cells, dtype=np.float32)
        grid[-1], grid[:, -1] = grid[0], grid[:, 0]
        total += cv2.resize(grid, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_CUBIC) * 0.55**k
    return (total - total.min()) / np.ptp(total)


def texture(rng, kind: str) -> np.ndarray:
    """uint8 [256, 256, 3]; 128 leaves the material's tint as it is."""
    n, N = noise(rng), TEXTURE_SIZE
    y, x = np.mgrid[0:N, 0:N] / N
    grey = lambda a: np.repeat(np.clip(a, 0, 1)[..., None], 3, 2)
    if kind == "wood":
        image = grey(0.5 + 0.3 * (noise(rng, 5, (0.25, 4)) - 0.5) - 0.25 * ((x * rng.integers(2, 8)) % 1 < 0.02))
    elif kind == "tiles":
        k = rng.integers(2, 8)
        seam = np.minimum((x * k) % 1, (y * k) % 1) < rng.uniform(0.02, 0.06)
        per = rng.uniform(-0.12, 0.12, (k, k))[(y * k).astype(int), (x * k).astype(int)]
        image = grey(0.5 + per + 0.1 * (n - 0.5) - rng.uniform(-0.2, 0.35) * seam)
    elif kind == "checks":
        k = rng.integers(1, 7)
        image = grey(0.5 + rng.uniform(0.2, 0.5) * (((x * 2 * k).astype(int) + (y * 2 * k).astype(int)) % 2 - 0.5))
    elif kind == "stripes":
        k, angle = rng.integers(2, 16), rng.choice([0, 1])
        t = (x if angle else y) * k
        image = grey(0.5 + rng.uniform(0.15, 0.5) * ((t % 1 < rng.uniform(0.2, 0.8)) - 0.5))
    elif kind == "plaid":
        k = rng.integers(2, 8)
        image = np.stack(
            [
                0.5 + 0.35 * (((x * k + p) % 1 < 0.4) * 0.5 + ((y * k + p) % 1 < 0.3) * 0.5 - 0.35)
                for p in rng.random(3)
            ],
            -1,
        )
    elif kind == "print":
        image = shapes(rng, rng.integers(8, 40), np.full((N, N, 3), 128, np.uint8)) / 255
    elif kind == "page":
        image = page(rng) / 255
    elif kind == "carpet":
        image = grey(0.5 + 0.5 * (rng.random((N, N)) - 0.5) * rng.uniform(0.3, 1) + 0.4 * (n - 0.5))
    else:  # plaster, concrete, plain cloth: soft stains
        image = grey(0.5 + rng.uniform(0.1, 0.6) * (n - 0.5) + 0.05 * (rng.random((N, N)) - 0.5))
    return np.uint8(np.clip(image, 0, 1) * 255)


def shapes(rng, count: int, image) -> np.ndarray:
    """Random filled shapes: prints, posters, and a stand-in for anything with edges."""
    for _ in range(count):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        centre, radius = rng.integers(0, TEXTURE_SIZE, 2), int(rng.integers(4, 60))
        if (kind := rng.integers(3)) == 0:
            cv2.circle(image, tuple(map(int, centre)), radius, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            box = cv2.boxPoints(
                (tuple(map(float, centre)), (float(radius), float(rng.integers(4, 60))), float(rng.uniform(0, 180)))
            )
            cv2.fillPoly(image, [np.int32(box)], colour, cv2.LINE_AA)
        else:
            cv2.line(
                image,
                tuple(map(int, centre)),
                tuple(map(int, rng.integers(0, TEXTURE_SIZE, 2))),
                colour,
                int(rng.integers(1, 6)),
                cv2.LINE_AA,
            )
    return image


def page(rng) -> np.ndarray:
    """Paper, posters and screens: lines of text and pictures."""
    ground = int(rng.choice([250, 235, 20, 60]))
    image = np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), ground, np.uint8)
    ink = (30, 30, 30) if ground > 128 else (220, 220, 220)
    y = 12
    while y < TEXTURE_SIZE - 12:
        if rng.random() < 0.12:
            h = int(rng.integers(30, 90))
            patch = shapes(rng, 10, np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), int(rng.integers(256)), np.uint8))
            x0, x1 = sorted(rng.integers(8, TEXTURE_SIZE - 8, 2))
            image[y : y + h, x0:x1] = patch[: image[y : y + h].shape[0], x0:x1]
            y += h + 6
        else:
            size = int(rng.integers(1, 4))
            x = 10
            while x < TEXTURE_SIZE - 20:
                word = int(rng.integers(4, 30))
                cv2.line(image, (x, y), (min(x + word, TEXTURE_SIZE - 10), y), ink, size)
                x += word + 5
            y += 5 + 2 * size
    return image


class Materials:
    """The material table of one scene."""

    def __init__(self, rng):
        self.rng = rng
        self.tint, self.surface, self.layers = [], [], []

    def layer(self, kind: str) -> int:
        self.layers.append(texture(self.rng, kind))
        return len(self.layers) - 1

    def add(self, colour, kind: str = "plain", scale=1.0, contrast=1.0, specular=0.0, glow=0.0) -> int:
        self.tint.append((*np.asarray(colour, float), self.layer(kind)))
        self.surface.append((scale, contrast, specular, glow))
        return len(self.tint) - 1


def grid(origin, across, down, cells: tuple[int, int], material: int) -> Mesh:
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
            cells = [int(np.clip(np.ceil(np.linalg.norm(e) / cell), 1, 12)) for e in (across, down)]
            parts.append(grid(turn @ corner + centre, turn @ across, turn @ down, tuple(cells), material))
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
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


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
        return [grid(at + turn @ (-size[0] / 2, 0.006, -size[1] / 2), turn @ (0, 0, size[1]), turn @ (size[0], 0, 0), (3, 3),
                     materials.add((0.5, 0.5, 0.5), "page", 1 / max(size), 1.0))]  # fmt: skip
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
    """A floor point within ``reach`` of the path's middle and at least ``clear`` from where the body walks; None: no room."""
    for _ in range(12):
        at = np.array(
            [rng.uniform(-reach, reach) + path[:, 0].mean(), 0, rng.uniform(-reach, reach) + path[:, 2].mean()]
        )
        if np.linalg.norm((path - at)[:, [0, 2]], axis=1).min() > clear:
            return at
    return None


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
    """A room around a walked ``path`` [F, 3] of the pelvis: static mesh, materials of the body's regions and props, looks.

    props: the motion's fixed props (seat, table, step), already in world metres.
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
        if kind in ("table", "chair"):
            meshes += {"table": table, "chair": chair}[kind](rng, at, spin, materials)
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
    """What the motion sits on, leans on or steps on."""
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


def dress_materials(rng, materials: Materials) -> dict[str, int]:
    """Materials of skin, hair, cloth and of what the hands hold."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    low = int(tone)
    skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[min(low + 1, len(SKIN_TONES) - 1)] - SKIN_TONES[low])
    skin = np.clip(skin * rng.uniform(0.9, 1.1) + rng.normal(0, 0.015, 3), 0.05, 1)
    cloth = lambda: rng.choice(["plain", "plain", "plain", "stripes", "plaid", "print", "checks"])
    shirt = materials.add(random_colour(rng, 0.5), cloth(), rng.uniform(1.5, 6), rng.uniform(0.1, 0.9))
    same = rng.random() < 0.15
    return {
        "skin": materials.add(linear(skin), "plain", 3.0, 0.25, rng.uniform(0.02, 0.15)),
        "lips": materials.add(linear(skin * (0.9, 0.6, 0.6)), "plain", 3.0, 0.1, 0.1),
        "hair": materials.add(linear(HAIR[rng.integers(len(HAIR))] * rng.uniform(0.7, 1.3)), "carpet", 6.0, 0.8, 0.1),
        "shirt": shirt,
        "trousers": shirt if same else materials.add(random_colour(rng, 0.6) * (0.5, 0.55, 0.8) if rng.random() < 0.4 else random_colour(rng, 0.7), rng.choice(["plain", "plain", "plain", "plaid"]), rng.uniform(2, 6), rng.uniform(0.1, 0.6)),
        "shoes": materials.add(random_colour(rng, 0.7), "plain", 8.0, 0.5, rng.uniform(0, 0.3)),
        "paper": materials.add((0.5, 0.5, 0.5), "page", rng.uniform(1.5, 4), 1.0, 0.02),
        "phone": materials.add((0.04, 0.04, 0.05), "plain", 8.0, 0.5, 0.4, glow=rng.uniform(0, 2)),
        "thing": materials.add(random_colour(rng), rng.choice(["plain", "stripes", "print"]), 4.0, 0.7, 0.2),
    }  # fmt: skip


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
        np.array(materials.tint), np.array(materials.surface), np.stack(materials.layers),
        sky, sky * rng.uniform(0.3, 0.8), at, share[:, None] * white * rng.uniform(1.0, 3.5),
    )  # fmt: skip


def body_mesh(body: Body, worn: dict[str, int], vertices, normals) -> Mesh:
    """One posed frame of a body with its materials."""
    materials = np.array([worn[name] for name in REGIONS])[body.regions]
    rest = body.vertices
    uv = np.stack([rest[:, 0] + 0.6 * rest[:, 2], rest[:, 1]], 1)
    return Mesh(vertices, normals, uv, materials, body.faces)
