"""Bodies that can be drawn: a skinned mesh in its rest pose, shaped at random, and posed by segment rotations.

World axes as in ``movement``: Y up, facing +Z, left = +X, metres. A body is posed by global rotations relative to the
T-pose, so any movement fits any body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from tools.synthetic.movement.segments import SEGMENTS

SEGMENT = {name: i for i, name in enumerate(SEGMENTS)}
#: Segment whose head is each joint of the skeleton (egostream.skeleton.JOINTS, same order).
JOINT_SEGMENTS = (
    "neck", "upperarm_r", "forearm_r", "hand_r", "upperarm_l", "forearm_l", "hand_l",
    "thigh_r", "calf_r", "foot_r", "toe_r", "thigh_l", "calf_l", "foot_l", "toe_l",
)  # fmt: skip
#: Depth below the skin at which a joint may lie and still count as seen, metres, joint order.
JOINT_DEPTH = np.array([0.18, 0.15, 0.12, 0.09, 0.15, 0.12, 0.09, 0.2, 0.14, 0.11, 0.1, 0.2, 0.14, 0.11, 0.1])
#: Regions of a mesh, one per vertex; what is worn decides their material.
REGIONS = ("skin", "hair", "lips", "shirt", "trousers", "shoes")


def t_pose_directions() -> dict[str, np.ndarray]:
    """Direction of each limb segment in the T-pose."""
    directions = {}
    for side, x in (("r", -1.0), ("l", 1.0)):
        for name in ("upperarm", "forearm", "hand"):
            directions[f"{name}_{side}"] = np.array([x, 0, 0])
        for name in ("thigh", "calf"):
            directions[f"{name}_{side}"] = np.array([0, -1.0, 0])
    return directions


def rotation_between(a, b) -> np.ndarray:
    """Smallest rotation matrix that takes direction a to direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -0.999999:
        axis = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
        return Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).as_matrix()
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


@dataclass(frozen=True)
class Bones:
    """A mesh's bones in topological order."""

    names: tuple[str, ...]
    parents: np.ndarray  # int [B], -1: root
    segments: np.ndarray  # int [B], the movement segment that turns each bone
    curl: np.ndarray  # float [B], radians that a closed fist bends this bone; 0 for what is no finger

    def segment_bone(self, segment: str) -> int:
        """First bone of a segment: its head is the segment's joint."""
        return int(np.flatnonzero(self.segments == SEGMENT[segment])[0])


@dataclass(frozen=True)
class Body:
    """One person in the rest pose."""

    vertices: np.ndarray  # float32 [V, 3]
    faces: np.ndarray  # int32 [F, 3]
    weights: np.ndarray  # float32 [V, B], rows sum to 1
    heads: np.ndarray  # float [B, 3]
    bones: Bones
    regions: np.ndarray  # uint8 [V], index into REGIONS

    @property
    def hip_height(self) -> float:
        """Height of the hip joints above the soles, metres: what movements are scaled by."""
        return float(self.hips[1] - self.vertices[:, 1].min())

    @property
    def hips(self) -> np.ndarray:
        """Middle of the two hip joints at rest [3]."""
        return self.heads[[self.bones.segment_bone("thigh_r"), self.bones.segment_bone("thigh_l")]].mean(0)

    @property
    def stature(self) -> float:
        return float(np.ptp(self.vertices[:, 1]))

    def rest_to_t(self) -> np.ndarray:
        """Rotation of every bone from this rest pose to the T-pose [B, 3, 3]."""
        turns = np.tile(np.eye(3), (len(self.bones.names), 1, 1))
        targets = t_pose_directions()
        following = {"upperarm": "forearm", "forearm": "hand", "thigh": "calf", "calf": "foot"}
        for side in "rl":
            for segment in ("upperarm", "forearm", "thigh", "calf"):
                bone = self.bones.segment_bone(f"{segment}_{side}")
                end = self.bones.segment_bone(f"{following[segment]}_{side}")
                turns[self.bones.segments == SEGMENT[f"{segment}_{side}"]] = rotation_between(
                    self.heads[end] - self.heads[bone], targets[f"{segment}_{side}"]
                )
            forearm = turns[self.bones.segment_bone(f"forearm_{side}")]
            turns[self.bones.segments == SEGMENT[f"hand_{side}"]] = forearm  # the wrist is straight at rest
        return turns

    def pose(self, root, rotations, grip) -> tuple[np.ndarray, np.ndarray]:
        """Bone rotations [F, B, 3, 3] and heads [F, B, 3], metres, of one movement.

        root [F, 3]: the hips; rotations [F, 21, 3, 3]: the segments'; grip [F, 2]: of the right and left hand.
        """
        F, B = len(root), len(self.bones.names)
        rest_to_t = self.rest_to_t()
        turns = np.einsum("fbij,bjk->fbik", rotations[:, self.bones.segments], rest_to_t)
        for side, column in (("r", 0), ("l", 1)):
            axis = np.array([0, 0, 1.0 if side == "r" else -1.0])  # bends stretched fingers of a T-pose to the floor
            hand = SEGMENT[f"hand_{side}"]
            bent = np.zeros((F, B))
            for b in np.flatnonzero((self.bones.segments == hand) & (self.bones.curl > 0)).tolist():
                parent = self.bones.parents[b]
                bent[:, b] = bent[:, parent] + self.bones.curl[b] * grip[:, column]
                curl = Rotation.from_rotvec(bent[:, b, None] * axis).as_matrix()
                turns[:, b] = rotations[:, hand] @ curl @ rest_to_t[b]
        heads = np.zeros((F, B, 3))
        for b, parent in enumerate(self.bones.parents):
            if parent < 0:
                heads[:, b] = root + turns[:, b] @ (self.heads[b] - self.hips)
            else:
                heads[:, b] = heads[:, parent] + turns[:, parent] @ (self.heads[b] - self.heads[parent])
        return turns, heads

    def joints(self, heads) -> np.ndarray:
        """The skeleton's 15 joints [F, 15, 3] of posed bone heads [F, B, 3]."""
        return heads[:, [self.bones.segment_bone(segment) for segment in JOINT_SEGMENTS]]

    def skin(self, turns, heads) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and normals [V, 3] of one posed frame, turns [B, 3, 3] and heads [B, 3] (linear blend skinning)."""
        offsets = heads - np.einsum("bij,bj->bi", turns, self.heads)
        matrices = np.concatenate([turns, offsets[:, :, None]], -1).reshape(len(turns), 12).astype(np.float32)
        blended = (self.weights @ matrices).reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", blended[:, :, :3], self.vertices) + blended[:, :, 3]
        return vertices, np.einsum("vij,vj->vi", blended[:, :, :3], self.normals)

    @property
    def normals(self) -> np.ndarray:
        if "_normals" not in self.__dict__:
            object.__setattr__(self, "_normals", vertex_normals(self.vertices, self.faces))
        return self.__dict__["_normals"]


def two_triangles(a, b, c, d) -> np.ndarray:
    """Quads of vertices a, b, c, d [Q] each as triangles int32 [2Q, 3].

    Both triangles end in ``a``, whose region OpenGL gives to the whole quad: seams are straight.
    """
    return np.concatenate([np.stack([b, c, a], 1), np.stack([c, d, a], 1)]).astype(np.int32)


def vertex_normals(vertices, faces) -> np.ndarray:
    """Area-weighted unit normals, float32 [V, 3]."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normals, faces[:, i], face)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)


@dataclass(frozen=True)
class Proportions:
    """How one person differs from the mesh: factors of bone lengths and thickness, and what is worn."""

    height: float = 1.72  # metres
    arms: float = 1.0  # length of the arms relative to the stature
    legs: float = 1.0
    shoulders: float = 1.0  # width
    girth: float = 1.0
    sleeve: float = 0.4  # where sleeves end along the arm: 0 shoulder, 0.5 elbow, 1 wrist
    trouser: float = 0.95  # where trousers end along the leg: 0 hip, 0.5 knee, 1 ankle
    waist: float = 0.0  # metres above the pelvis where shirt and trousers meet
    collar: float = 0.5  # 0: low neckline; 1: up to the chin
    looseness: float = 0.01  # metres between skin and cloth
    hair: float = 0.5  # 0: none; 1: long
    shoes: bool = True


def random_proportions(rng: np.random.Generator) -> Proportions:
    """A plausible adult in plausible clothes."""
    girth = rng.normal(1.0, 0.07)
    return Proportions(
        height=float(np.clip(rng.normal(1.71, 0.1), 1.45, 2.02)),
        arms=float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1)),
        legs=float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1)),
        shoulders=float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.14)),
        girth=float(np.clip(girth, 0.85, 1.3)),
        sleeve=one_of(rng, {(0.0, 0.1): 0.1, (0.2, 0.45): 0.45, (0.55, 0.9): 0.1, (0.95, 1.02): 0.35}),
        trouser=one_of(rng, {(0.25, 0.5): 0.2, (0.6, 0.8): 0.1, (0.92, 1.02): 0.7}),
        waist=float(rng.uniform(-0.12, 0.1)),
        collar=float(rng.uniform(0, 1)),
        looseness=float(rng.choice([rng.uniform(0.003, 0.012), rng.uniform(0.012, 0.035)])),
        hair=float(rng.choice([0.0, rng.uniform(0.2, 0.6), rng.uniform(0.6, 1.0)], p=[0.15, 0.5, 0.35])),
        shoes=bool(rng.random() < 0.85),
    )


def one_of(rng: np.random.Generator, shares: dict[tuple[float, float], float]) -> float:
    """A number from one of several ranges {(low, high): probability}."""
    return float(rng.choice([rng.uniform(*span) for span in shares], p=list(shares.values())))


def along(points, chain) -> np.ndarray:
    """Where points [V, 3] project on a polyline [K, 3]: 0 at its start, 1 at its end, by segment count."""
    best, where = np.full(len(points), np.inf), np.zeros(len(points))
    for k in range(len(chain) - 1):
        direction = chain[k + 1] - chain[k]
        t = np.clip(
            (points - chain[k]) @ direction / max(direction @ direction, 1e-9), 0, 1.6 if k == len(chain) - 2 else 1
        )
        distance = np.linalg.norm(points - chain[k] - t[:, None] * direction, axis=1)
        closer = distance < best
        best[closer], where[closer] = distance[closer], (k + t[closer]) / (len(chain) - 1)
    return where


def reshape(vertices, heads, weights, bones: Bones, p: Proportions):
    """Vertices and heads with bone lengths, girth and stature of ``p``: every bone carries its share of the mesh along.

    Stretching each bone's frame and blending by the skin weights keeps the surface closed.
    """
    B = len(bones.names)
    length, breadth = np.ones(B), np.ones(B)
    for b in range(B):
        name = SEGMENTS[bones.segments[b]].split("_")[0]
        length[b] = {
            "upperarm": p.arms,
            "forearm": p.arms,
            "thigh": p.legs,
            "calf": p.legs,
            "clavicle": p.shoulders,
        }.get(name, 1.0)
        soft = {"pelvis": 1.0, "spine": 1.0, "chest": 0.8, "thigh": 0.9, "upperarm": 0.8, "calf": 0.6, "forearm": 0.5}
        breadth[b] = 1 + (p.girth - 1) * soft.get(name, 0.0)
    frames, new_heads = np.zeros((B, 3, 3)), np.zeros((B, 3))
    for b, parent in enumerate(bones.parents):
        children = np.flatnonzero((bones.parents == b) & (bones.curl == 0))
        axis = heads[children].mean(0) - heads[b] if len(children) else np.array([0, 1.0, 0])
        axis = axis / max(np.linalg.norm(axis), 1e-9)
        outer = np.outer(axis, axis)
        frames[b] = length[b] * outer + breadth[b] * (np.eye(3) - outer)
        stretched = length[parent] if parent >= 0 else 1.0
        new_heads[b] = heads[b] if parent < 0 else new_heads[parent] + (heads[b] - heads[parent]) * stretched
    offsets = new_heads - np.einsum("bij,bj->bi", frames, heads)
    blended = (weights @ np.concatenate([frames, offsets[:, :, None]], -1).reshape(B, 12)).reshape(-1, 3, 4)
    vertices = np.einsum("vij,vj->vi", blended[:, :, :3], vertices) + blended[:, :, 3]
    scale = p.height / np.ptp(vertices[:, 1])
    return vertices * scale, new_heads * scale


def dress(vertices, faces, heads, weights, bones: Bones, lips, p: Proportions, rng):
    """Regions [V] and vertices [V, 3] with cloth and hair standing off the skin."""
    total = np.zeros((len(vertices), len(SEGMENTS)), np.float32)
    for b, segment in enumerate(bones.segments):
        total[:, segment] += weights[:, b]
    share = lambda *names: sum(total[:, SEGMENT[n]] for n in names)
    head_of = lambda name: heads[bones.segment_bone(name)]
    both = lambda *names: [f"{n}_{s}" for n in names for s in "rl"]

    skull = share("head") + share("neck")
    arm = share(*both("upperarm", "forearm", "hand"))
    leg = share(*both("thigh", "calf", "foot", "toe"))
    sleeve, trouser = np.zeros(len(vertices)), np.zeros(len(vertices))
    for s in "rl":
        side = (vertices[:, 0] < 0) == (s == "r")
        arm_t = along(vertices, np.stack([head_of(f"{n}_{s}") for n in ("upperarm", "forearm", "hand")]))
        leg_t = along(vertices, np.stack([head_of(f"{n}_{s}") for n in ("thigh", "calf", "foot")]))
        sleeve[side], trouser[side] = arm_t[side], leg_t[side]

    waist = head_of("pelvis")[1] + p.waist
    regions = np.full(len(vertices), REGIONS.index("skin"), np.uint8)
    torso = (arm < 0.5) & (leg < 0.5) & (skull < 0.5)
    neck, top = head_of("neck"), head_of("head")
    collar = (
        neck[1]
        + (p.collar - 0.35) * 0.6 * (top[1] - neck[1])
        + 0.5 * (vertices[:, 2] < neck[2]) * (top[1] - neck[1]) * 0.4
    )
    shirt = ((torso | ((skull >= 0.5) & (np.abs(vertices[:, 1] - neck[1]) < 0.08))) & (vertices[:, 1] < collar)) | (
        (arm >= 0.5) & (sleeve < p.sleeve)
    )
    shirt &= vertices[:, 1] > waist
    trousers = (((leg >= 0.5) & (trouser < p.trouser)) | torso) & (vertices[:, 1] <= waist) & (arm < 0.5)
    shirt |= (leg >= 0.5) & (vertices[:, 1] > waist)
    shirt = smooth(shirt.astype(float), faces, 4) > 0.5  # seams run straight across the mesh
    regions[shirt] = REGIONS.index("shirt")
    regions[trousers] = REGIONS.index("trousers")
    if p.shoes:
        regions[share(*both("foot", "toe")) > 0.5] = REGIONS.index("shoes")
    if lips is not None:
        regions[np.linalg.norm((vertices - lips) * (1, 1.8, 1), axis=1) < 0.022] = REGIONS.index("lips")

    head_size = vertices[:, 1].max() - top[1]
    back = top + (0, 0.45 * head_size, -0.02)
    hairline = (vertices[:, 1] - back[1]) / head_size - 1.1 * (vertices[:, 2] - back[2]) / head_size
    hair = (
        (skull >= 0.5) & (hairline > 0.12 - 0.75 * p.hair) & (vertices[:, 1] > top[1] - p.hair * 0.1)
        if p.hair
        else np.zeros(len(vertices), bool)
    )
    hair &= regions != REGIONS.index("lips")
    regions[hair] = REGIONS.index("hair")

    return regions, vertices + stand_off(vertices, faces, regions, hair, p, rng)


def stand_off(vertices, faces, regions, hair, p: Proportions, rng) -> np.ndarray:
    """By how much cloth, hair and shoes stand off the skin [V, 3], metres."""
    normals = vertex_normals(vertices.astype(np.float32), faces)
    wave = sum(
        np.sin(vertices @ rng.normal(0, 30, 3) + rng.uniform(0, 6.3)) * 0.25 for _ in range(4)
    )  # folds: smooth, a few centimetres long
    cloth = np.isin(regions, [REGIONS.index("shirt"), REGIONS.index("trousers")])
    loose = np.where(cloth, p.looseness * (1 + 0.6 * wave), 0.0) + np.where(
        hair, 0.005 + 0.03 * p.hair * (1 + 0.5 * wave), 0.0
    )
    loose += np.where(regions == REGIONS.index("shoes"), 0.008, 0.0)
    loose = smooth(loose, faces, 3)  # no cliffs where cloth ends
    return normals * loose[:, None]


def smooth(values, faces, rounds: int) -> np.ndarray:
    """Vertex values [V] averaged with their neighbours', ``rounds`` times."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = np.bincount(edges[:, 0], minlength=len(values)) + 1
    for _ in range(rounds):
        values = (values + np.bincount(edges[:, 0], values[edges[:, 1]], minlength=len(values))) / count
    return values


def make_body(vertices, faces, heads, weights, bones: Bones, lips, p: Proportions, rng) -> Body:
    """One dressed person from a mesh in its rest pose."""
    marked = vertices if lips is None else np.vstack([vertices, lips])
    head_bone = bones.segment_bone("head")
    extra = weights if lips is None else np.vstack([weights, np.eye(len(bones.names), dtype=weights.dtype)[head_bone]])
    shaped, new_heads = reshape(marked, heads, extra, bones, p)
    lips = None if lips is None else shaped[-1]
    shaped = shaped[: len(vertices)]
    regions, shaped = dress(shaped, faces, new_heads, weights, bones, lips, p, rng)
    return Body(shaped.astype(np.float32), faces, weights, new_heads, bones, regions)
