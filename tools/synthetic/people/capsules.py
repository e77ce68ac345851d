"""The built-in body, for when there is no better mesh: rounded limbs on the stick skeleton, in the T-pose."""

from __future__ import annotations

import numpy as np

from tools.synthetic.movement.segments import INDEX, OFFSETS, PARENTS, SEGMENTS
from tools.synthetic.people.body import Body, Bones, make_body, random_proportions, two_triangles

SIDES, RINGS = 16, 14
BLEND = 0.3  # share of a limb, from its start, over which the skin follows the parent as well

#: segment -> (end: another segment or an offset [3] metres, radii at start and end, flattening of depth)
SHAPES: dict[str, tuple] = {
    "pelvis": ("spine", 0.155, 0.135, 0.8), "spine": ("chest", 0.135, 0.14, 0.8), "chest": ("neck", 0.145, 0.11, 0.75),
    "neck": ("head", 0.06, 0.055, 1.0), "head": ((0, 0.17, 0.035), 0.085, 0.085, 1.15),
    **{f"{name}_{s}": (end if isinstance(end, tuple) else f"{end}_{s}", *radii) for s in "rl" for name, end, *radii in (
        ("clavicle", "upperarm", 0.07, 0.065, 1.0), ("upperarm", "forearm", 0.055, 0.043, 1.0),
        ("forearm", "hand", 0.043, 0.03, 1.0), ("hand", ((-0.15 if s == "r" else 0.15), -0.01, 0.0), 0.03, 0.035, 1.3),
        ("thigh", "calf", 0.085, 0.058, 1.0), ("calf", "foot", 0.058, 0.04, 1.0), ("foot", "toe", 0.045, 0.04, 1.0),
        ("toe", (0, -0.01, 0.06), 0.04, 0.03, 1.0))},
}  # fmt: skip


class Capsules:
    """Bodies of rounded limbs."""

    def __init__(self):
        parents = np.array(PARENTS)
        self.bones = Bones(SEGMENTS, parents, np.arange(len(SEGMENTS)), np.zeros(len(SEGMENTS)))
        self.heads = np.zeros((len(SEGMENTS), 3))
        for k, parent in enumerate(parents):
            self.heads[k] = OFFSETS[k] + (self.heads[parent] if parent >= 0 else 0)
        parts = [self.limb(name, *shape) for name, shape in SHAPES.items()]
        offsets = np.cumsum([0] + [len(vertices) for vertices, _, _ in parts[:-1]])
        self.vertices = np.concatenate([vertices for vertices, _, _ in parts])
        self.weights = np.concatenate([weights for _, weights, _ in parts]).astype(np.float32)
        self.faces = np.concatenate([faces + offset for (_, _, faces), offset in zip(parts, offsets)]).astype(np.int32)

    def limb(self, name: str, end, start_radius: float, end_radius: float, flatten: float):
        """Vertices, weights and faces of one rounded, tapered limb."""
        k = INDEX[name]
        start = self.heads[k]
        stop = self.heads[INDEX[end]] if isinstance(end, str) else start + np.array(end)
        axis = (stop - start) / np.linalg.norm(stop - start)
        side = np.cross(axis, [0, 0, 1.0]) if abs(axis[2]) < 0.8 else np.cross(axis, [1.0, 0, 0])
        side /= np.linalg.norm(side)
        depth = np.cross(side, axis) * flatten
        latitude, t = self.profile()
        radius = start_radius + (end_radius - start_radius) * t
        angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
        centres = start + t[:, None] * (stop - start) + (np.sin(latitude) * radius)[:, None] * axis
        around = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * depth
        vertices = centres[:, None] + (np.cos(latitude) * radius)[:, None, None] * around
        weights = np.zeros((RINGS, SIDES, len(SEGMENTS)))
        own = np.clip(0.5 + t / BLEND / 2, 0, 1) if PARENTS[k] >= 0 else np.ones(RINGS)
        weights[:, :, k] = own[:, None]
        weights[:, :, PARENTS[k]] += (1 - own)[:, None]
        i, j = (a.ravel() for a in np.mgrid[0 : RINGS - 1, 0:SIDES])
        a, b = i * SIDES + j, i * SIDES + (j + 1) % SIDES
        faces = two_triangles(a, b, b + SIDES, a + SIDES)
        return vertices.reshape(-1, 3), weights.reshape(-1, len(SEGMENTS)), faces

    def profile(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each ring of a limb: its latitude on a ball around the limb's end, and its way along the limb, 0..1."""
        return (
            np.linspace(-np.pi / 2, np.pi / 2, RINGS),
            np.clip((np.arange(RINGS) - RINGS / 4) / (RINGS / 2), 0, 1),
        )

    def sample(self, rng: np.random.Generator) -> Body:
        """A random person."""
        lips = self.heads[INDEX["head"]] + (0, 0.03, 0.125)
        return make_body(
            self.vertices, self.faces, self.heads, self.weights, self.bones, lips, random_proportions(rng), rng
        )
