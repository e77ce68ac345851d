"""A person as a VRM 1.0 avatar: a skinned body of ``tools/synthetic``, in the T-pose, dressed in plain colours.

VRM 1.0 is glTF with the extension VRMC_vrm (github.com/vrm-c/vrm-specification): metres, y up, looks along z, soles at
y = 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from egostream.export.gltf import ARRAY_BUFFER, ELEMENT_BUFFER, Document
from tools.synthetic.movement.segments import SEGMENTS
from tools.synthetic.people.body import REGIONS, Body, Proportions, make_body, vertex_normals
from tools.synthetic.people.capsules import RINGS, Capsules
from tools.synthetic.people.makehuman import MakeHuman

SEED = 3
#: VRM's name of each segment that is the same on both sides of a body, and of the others.
MIDDLE = {"pelvis": "hips", "spine": "spine", "chest": "chest", "neck": "neck", "head": "head"}
SIDED = {
    "clavicle": "Shoulder", "upperarm": "UpperArm", "forearm": "LowerArm", "hand": "Hand",
    "thigh": "UpperLeg", "calf": "LowerLeg", "foot": "Foot", "toe": "Toes",
}  # fmt: skip
#: Linear colours of ``REGIONS``, and of the stripe along the front of arms and legs (thumbs, kneecaps) that shows how
#: limbs turn about themselves.
COLOURS = {
    "skin": (0.60, 0.36, 0.24), "hair": (0.05, 0.03, 0.02), "lips": (0.45, 0.13, 0.12),
    "shirt": (0.05, 0.22, 0.30), "trousers": (0.06, 0.07, 0.12), "shoes": (0.30, 0.30, 0.32),
}  # fmt: skip
STRIPE = (0.85, 0.45, 0.08)
#: A vertex is on the stripe where its limb's surface looks ahead at least so much (cosine).
STRIPE_COSINE = 0.93
MOST_BONES = 4  # that a vertex follows, in glTF


class Figure(Capsules):
    """A figure of rounded limbs, thick up to their ends: always the same."""

    def profile(self) -> tuple[np.ndarray, np.ndarray]:
        cap = RINGS // 3
        bow = np.linspace(0, np.pi / 2, cap)
        latitude = np.concatenate([bow - np.pi / 2, np.zeros(RINGS - 2 * cap), bow])
        return latitude, np.clip((np.arange(RINGS) - cap + 1) / (RINGS - 2 * cap + 1), 0, 1)

    def sample(self, rng: np.random.Generator) -> Body:
        lips = self.heads[SEGMENTS.index("head")] + (0, 0.03, 0.125)
        shape = Proportions(looseness=0.0, hair=0.4, girth=1.1)
        return make_body(self.vertices, self.faces, self.heads, self.weights, self.bones, lips, shape, rng)


def make_person(bodies: Path | None = None, seed: int = SEED) -> bytes:
    """A .vrm file. bodies: folder of MakeHuman's mesh; None: rounded limbs. Raises EgostreamError for another folder.

    seed: of shape and clothes, of MakeHuman's mesh.
    """
    source = Figure() if bodies is None else MakeHuman(bodies)
    return vrm_of(source.sample(np.random.default_rng(seed)))


def vrm_of(body: Body) -> bytes:
    """A body as a .vrm file, in the T-pose."""
    heads, vertices, normals = t_pose(body)
    document = Document(nodes_of(body, heads))
    inverse = np.tile(np.eye(4), (len(heads), 1, 1))
    inverse[:, 3, :3] = -heads  # by columns, as glTF has matrices
    bones = list(range(1, len(heads) + 1))
    document.json["skins"] = [
        {"joints": bones, "inverseBindMatrices": document.add(inverse.reshape(-1, 16)), "skeleton": 1}
    ]
    joints, weights = strongest(body.weights)
    attributes = {
        "POSITION": document.add(vertices, ARRAY_BUFFER),
        "NORMAL": document.add(normals, ARRAY_BUFFER),
        "COLOR_0": document.add(colours_of(body, normals), ARRAY_BUFFER),
        "JOINTS_0": document.add(joints, ARRAY_BUFFER),
        "WEIGHTS_0": document.add(weights, ARRAY_BUFFER),
    }
    faces = document.add(body.faces.astype(np.uint16).reshape(-1, 1), ELEMENT_BUFFER)
    primitive = {"attributes": attributes, "indices": faces, "material": 0}
    document.json["meshes"] = [{"name": "body", "primitives": [primitive]}]
    document.json["materials"] = [
        {"name": "body", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.85}}
    ]
    document.json["nodes"].append({"name": "body", "mesh": 0, "skin": 0})
    document.json["nodes"][0]["children"].append(len(heads) + 1)
    name_bones(document.json, body)
    return document.glb()


def t_pose(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bone heads [B, 3], vertices and normals [V, 3] of a body that stands in the T-pose, soles at y = 0."""
    still = np.tile(np.eye(3), (1, len(SEGMENTS), 1, 1))
    turns, heads = body.pose(np.zeros((1, 3)), still, np.zeros((1, 2)))
    vertices, _ = body.skin(turns[0], heads[0])
    lift = np.array([0.0, -vertices[:, 1].min(), 0.0])
    return heads[0] + lift, (vertices + lift).astype(np.float32), vertex_normals(vertices, body.faces)


def nodes_of(body: Body, heads: np.ndarray) -> list[dict[str, Any]]:
    """A root, then a node for each bone of the mesh, unturned at rest."""
    nodes: list[dict[str, Any]] = [{"name": "person", "children": []}]
    for name, parent, head in zip(body.bones.names, body.bones.parents.tolist(), heads):
        origin = heads[parent] if parent >= 0 else np.zeros(3)
        nodes[parent + 1].setdefault("children", []).append(len(nodes))
        nodes.append({"name": name, "translation": (head - origin).tolist()})
    return nodes


def strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of weights [V, B] the strongest bones uint16 [V, 4], and how they share each vertex [V, 4]."""
    order = np.argsort(-weights, axis=1)[:, :MOST_BONES]
    shares = np.take_along_axis(weights, order, 1)
    shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-6)
    return np.where(shares > 0, order, 0).astype(np.uint16), shares.astype(np.float32)


def colours_of(body: Body, normals: np.ndarray) -> np.ndarray:
    """Linear colours [V, 3] of a body's regions, with a stripe along the front of arms and legs."""
    colours = np.array([COLOURS[name] for name in REGIONS], np.float32)[body.regions]
    is_limb = np.array(
        [SEGMENTS[s].split("_")[0] in ("upperarm", "forearm", "thigh", "calf") for s in body.bones.segments]
    )
    is_striped = (body.weights[:, is_limb].sum(1) > 0.5) & (normals[:, 2] > STRIPE_COSINE)
    colours[is_striped] = STRIPE
    return colours


def name_bones(document: dict[str, Any], body: Body) -> None:
    """Say which node is which bone of the humanoid."""
    names = dict(MIDDLE)
    for segment, bone in SIDED.items():
        names |= {f"{segment}_l": f"left{bone}", f"{segment}_r": f"right{bone}"}
    human = {bone: {"node": body.bones.segment_bone(segment) + 1} for segment, bone in names.items()}
    meta = {"name": "person", "authors": ["egostream"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
    document["extensionsUsed"] = ["VRMC_vrm"]
    document["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "meta": meta, "humanoid": {"humanBones": human}}}
