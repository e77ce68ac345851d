"""The MakeHuman base mesh (hm08, CC0) as a source of bodies: mesh, rig, skin weights and shape targets from a folder.

Expected in the folder, as MPFB publishes them: base.obj, basemesh_vertex_groups.json, rigs/rig.game_engine.json,
rigs/weights.game_engine.json and targets/*.target.gz.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from tools.synthetic.people.body import SEGMENT, Body, Bones, make_body, random_proportions, two_triangles

DECIMETRE = 0.1
BODY_VERTICES = 13380  # the first vertices of the mesh; the rest are helpers for clothes and joints
SEGMENT_OF = {
    "pelvis": "pelvis", "spine_01": "spine", "spine_02": "spine", "spine_03": "chest",
    "neck_01": "neck", "head": "head",
    **{f"{bone}_{s}": f"{segment}_{s}" for s in "rl" for bone, segment in (
        ("clavicle", "clavicle"), ("upperarm", "upperarm"), ("lowerarm", "forearm"), ("hand", "hand"),
        ("thigh", "thigh"), ("calf", "calf"), ("foot", "foot"), ("ball", "toe"))},
}  # fmt: skip
FIST = {"1": 1.2, "2": 1.5, "3": 0.9}  # radians that a fist bends the three phalanges
RACES = ("african", "asian", "caucasian")


class MakeHuman:
    """Bodies of the MakeHuman mesh. Raises EgostreamError when the folder lacks a file or one is damaged."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        try:
            self.vertices, self.faces = self.read_obj()
            self.groups = self.read_json("basemesh_vertex_groups.json")
            self.bones, self.head_sources = self.read_rig(self.read_json("rigs/rig.game_engine.json"))
            self.weights = self.read_weights()
            self.heads(self.vertices)
        except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
            raise EgostreamError(
                f"body folder {folder} is damaged or not MakeHuman's: {error!r}. Download it again"
            ) from None
        self.targets = {
            path.name.removesuffix(".target.gz"): self.read_target(path)
            for path in sorted((self.folder / "targets").glob("*.target.gz"))
        }
        missing = [
            name for name in (f"caucasian-{sex}-young" for sex in ("male", "female")) if name not in self.targets
        ]
        if missing:
            raise EgostreamError(
                f"body folder {folder} lacks targets/{missing[0]}.target.gz. "
                "See tools/make_synthetic.py --help for its source"
            )

    def path(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise EgostreamError(
                f"body folder {self.folder} lacks {name}. See tools/make_synthetic.py --help for its source"
            )
        return path

    def read_json(self, name: str):
        try:
            return json.loads(self.path(name).read_text())
        except ValueError as error:
            raise EgostreamError(f"{self.path(name)} is not JSON: {error}. Download it again") from None

    def read_obj(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [V, 3] in metres and the body's triangles [F, 3]."""
        vertices, quads, group = [], [], ""
        for line in self.path("base.obj").read_text().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append(rest.split()[:3])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f" and group == "body":
                quads.append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
        if len(vertices) < BODY_VERTICES or not quads:
            raise EgostreamError(
                f"{self.folder / 'base.obj'} is not the MakeHuman hm08 mesh ({len(vertices)} vertices)"
            )
        return np.array(vertices, float) * DECIMETRE, two_triangles(*np.array(quads).T)

    def read_rig(self, rig: dict):
        ordered = ["pelvis"]  # its parent is a handle on the ground that moves nothing
        while more := [name for name in rig if name not in ordered and rig[name]["parent"] in ordered]:
            ordered += more
        segments, curl = [], []
        for name in ordered:
            part, number, side = (*name.split("_"), "", "")[:3]
            finger = f"{part}_{number}_{side}" == name and number.isdigit()
            segments.append(SEGMENT[f"hand_{side}" if finger else SEGMENT_OF[name]])
            curl.append(FIST[number[-1]] * (0.4 if part == "thumb" else 1.0) if finger else 0.0)
        parents = np.array([-1, *(ordered.index(rig[n]["parent"]) for n in ordered[1:])])
        return Bones(tuple(ordered), parents, np.array(segments), np.array(curl)), [rig[n]["head"] for n in ordered]

    def heads(self, vertices) -> np.ndarray:
        """Bone heads [B, 3] of a shaped mesh: the mean of a joint cube's vertices, or of listed ones."""
        heads = []
        for source in self.head_sources:
            if source["strategy"] == "CUBE":
                chosen = np.concatenate(
                    [np.arange(first, last + 1) for first, last in self.groups[source["cube_name"]]]
                )
            else:
                chosen = np.array(source["vertex_indices"])
            heads.append(vertices[chosen].mean(0))
        return np.array(heads)

    def read_weights(self) -> np.ndarray:
        table = self.read_json("rigs/weights.game_engine.json")["weights"]
        weights = np.zeros((BODY_VERTICES, len(self.bones.names)), np.float32)
        for b, name in enumerate(self.bones.names):
            pairs = np.array(table.get(name, []), float).reshape(-1, 2)
            pairs = pairs[pairs[:, 0] < BODY_VERTICES]
            weights[pairs[:, 0].astype(int), b] = pairs[:, 1]
        return weights / np.maximum(weights.sum(1, keepdims=True), 1e-6)

    def read_target(self, path: Path):
        try:
            with gzip.open(path, "rt") as file:
                rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
            table = np.array(rows, float).reshape(-1, 4)
        except (OSError, ValueError, EOFError, zlib.error) as error:
            raise EgostreamError(f"shape target {path} cannot be read: {error}. Download it again") from None
        return table[:, 0].astype(int), table[:, 1:] * DECIMETRE

    def sample(self, rng: np.random.Generator) -> Body:
        """A random person."""
        male = float(rng.choice([rng.uniform(0, 0.25), rng.uniform(0.75, 1)]))
        mix = rng.dirichlet([0.5] * len(RACES))
        amounts = {
            f"{race}-{sex}-young": share * weight
            for race, share in zip(RACES, mix)
            for sex, weight in (("male", male), ("female", 1 - male))
        }
        fat, tall = rng.beta(1.2, 2.8), rng.normal(0, 0.4)
        for sex, weight in (("male", male), ("female", 1 - male)):
            amounts[f"universal-{sex}-young-averagemuscle-maxweight"] = fat * weight
            amounts[f"height-{sex}-young-averagemuscle-averageweight-{'max' if tall > 0 else 'min'}height"] = (
                min(abs(tall), 1) * weight
            )
        vertices = self.vertices.copy()
        for name, amount in amounts.items():
            if name in self.targets:
                index, delta = self.targets[name]
                vertices[index] += amount * delta
        lips = self.mouth(vertices)
        return make_body(
            vertices[:BODY_VERTICES],
            self.faces,
            self.heads(vertices),
            self.weights,
            self.bones,
            lips,
            random_proportions(rng),
            rng,
        )

    def mouth(self, vertices) -> np.ndarray:
        """A point on the lips: the front of the face at the height of the teeth."""
        teeth = np.concatenate([np.arange(a, b + 1) for a, b in self.groups["helper-upper-teeth"]])
        centre = vertices[teeth].mean(0)
        near = vertices[:BODY_VERTICES]
        band = near[(np.abs(near[:, 0]) < 0.01) & (np.abs(near[:, 1] - centre[1]) < 0.01)]
        return band[np.argmax(band[:, 2])] if len(band) else centre
