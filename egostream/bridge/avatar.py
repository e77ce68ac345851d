"""VRM avatars: how the bones of a file lie at rest. Both versions, 0.x and 1.0.

glTF (.glb) is a header, a chunk of JSON, and binary data that nothing here needs.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from egostream.body.axes import GLTF, VRM0, Axes
from egostream.body.bones import BONES, INDEX, PARENT_OF
from egostream.body.measure import Body
from egostream.body.quaternions import IDENTITY, conjugate, multiply, rotate, unit
from egostream.errors import EgostreamError

MAGIC, JSON_CHUNK = b"glTF", 0x4E4F534A
#: Bones without which no humanoid moves; VRM 0.x and 1.0 both demand them.
NEEDED = [bone for bone in BONES if bone not in ("Chest", "Neck", "LeftShoulder", "RightShoulder")]
LARGEST_JSON = 256 << 20


@dataclass(frozen=True)
class AvatarBone:
    """A bone's node at rest, in x right, y down, z ahead."""

    translation: np.ndarray  # [3] in its parent node
    rotation: np.ndarray = field(default_factory=lambda: IDENTITY)  # [4] in its parent node
    world: np.ndarray = field(default_factory=lambda: IDENTITY)  # [4] in the model


class Avatar:
    """The bones that an avatar has, in the order of ``BONES``: the hips are the first."""

    def __init__(
        self,
        bones: dict[str, AvatarBone],
        hips_height: float,
        hips_origin: np.ndarray | None = None,
        hips_frame: np.ndarray = IDENTITY,
    ):
        """hips_height: above the model's origin, metres. hips_origin [3], hips_frame [4]: how the node above lies."""
        self.names = tuple(bone for bone in BONES if bone in bones)
        rests = [bones[name] for name in self.names]
        self.translations = np.array([rest.translation for rest in rests])  # [n, 3]
        self.worlds = np.array([rest.world for rest in rests])
        self.frames = multiply(np.array([rest.rotation for rest in rests]), conjugate(self.worlds))
        self.is_turned = not (np.allclose(self.worlds, IDENTITY) and np.allclose(self.frames, IDENTITY))
        self.rows = np.array([INDEX[name] for name in self.names])
        self.parents = np.array([INDEX[self.parent(name)] for name in self.names[1:]])
        self.hips_height, self.hips_frame = hips_height, hips_frame
        self.hips_origin = np.zeros(3) if hips_origin is None else hips_origin

    def parent(self, bone: str) -> str:
        """The nearest bone above that the avatar has. The hips have none."""
        parent = PARENT_OF[bone]
        while parent not in self.names:
            parent = PARENT_OF[parent]
        return parent

    def local(self, rotations: np.ndarray) -> np.ndarray:
        """Rotations [n, 4] of the bones' own nodes, of rotations [19, 4] of a body.

        q = L W^-1 q_norm W, of the node's rest L in its parent and W in the model (VRM's how_to_transform_human_pose).
        A bone that is missing leaves its turn to its children.
        """
        normal = rotations[self.rows]
        normal[1:] = multiply(conjugate(rotations[self.parents]), normal[1:])
        return multiply(multiply(self.frames, normal), self.worlds) if self.is_turned else normal

    def places(self, hips: np.ndarray, body: Body) -> np.ndarray:
        """Translations [n, 3] of the bones' nodes: as at rest, and the hips where they are in the room [3].

        Their way is scaled from a wearer's legs to the avatar's.
        """
        scaled = hips * (self.hips_height / body.hips_height if body.hips_height > 0 else 1.0)
        places = self.translations.copy()
        places[0] = rotate(conjugate(self.hips_frame), scaled - self.hips_origin)
        return places


def avatar_of(body: Body) -> Avatar:
    """An avatar that is the wearer's own body, where no file is given."""
    return Avatar({bone: AvatarBone(body.offsets[INDEX[bone]]) for bone in BONES}, body.hips_height)


def load_avatar(path: Path) -> Avatar:
    """The avatar of a .vrm file. Raises EgostreamError where it is none, or lacks bones."""
    document = read_document(path)
    extensions = document.get("extensions")
    try:
        nodes, axes = human_nodes(extensions if isinstance(extensions, dict) else {})
        return make_avatar(document["nodes"], nodes, axes, path)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise broken(path, f"its description of the humanoid is damaged ({type(error).__name__}: {error})") from None


def broken(path: Path, reason: str) -> EgostreamError:
    """The error of a file that is no avatar."""
    return EgostreamError(f"--avatar {path}: {reason}. Give a VRM file (.vrm), of VRM 0.x or 1.0")


def read_document(path: Path) -> dict[str, Any]:
    """The JSON of a .glb file. Raises EgostreamError."""
    try:
        with open(path, "rb") as file:
            magic, _, _, size, kind = struct.unpack("<4sIIII", file.read(20).ljust(20, b"\0"))
            if magic != MAGIC or kind != JSON_CHUNK or size > LARGEST_JSON:
                raise broken(path, "it is no binary glTF")
            document = json.loads(file.read(size))
    except OSError as error:
        raise EgostreamError(f"--avatar {path}: {error.strerror or error}. Give the path of a .vrm file") from None
    except (ValueError, RecursionError) as error:
        raise broken(path, f"its JSON is damaged ({error})") from None
    if not isinstance(document, dict):
        raise broken(path, "its JSON is no object")
    return document


def human_nodes(extensions: dict[str, Any]) -> tuple[dict[str, int], Axes]:
    """The node of each bone, and the axes that the model lies in; no nodes where it is no VRM."""
    if "VRMC_vrm" in extensions:
        bones = extensions["VRMC_vrm"]["humanoid"]["humanBones"]
        return {bone: int(entry["node"]) for bone, entry in bones.items()}, GLTF
    if "VRM" in extensions:
        listed = extensions["VRM"]["humanoid"]["humanBones"]
        return {entry["bone"]: int(entry["node"]) for entry in listed}, VRM0
    return {}, GLTF


def make_avatar(nodes: list[dict[str, Any]], human: dict[str, int], axes: Axes, path: Path) -> Avatar:
    """The avatar of a document's nodes. Raises EgostreamError where bones are missing."""
    numbers = {bone: human[name] for bone in BONES if (name := bone[0].lower() + bone[1:]) in human}
    missing = [bone for bone in NEEDED if bone not in numbers]
    if missing:
        what = "it is no VRM: it names no humanoid bones" if not numbers else f"it lacks bones: {', '.join(missing)}"
        raise broken(path, what)
    rests = Rests(nodes, axes)
    bones = {bone: AvatarBone(*rests.local(number), rests.world(number)[1]) for bone, number in numbers.items()}
    above = rests.parents.get(numbers["Hips"])
    origin, frame = rests.world(above) if above is not None else (np.zeros(3), IDENTITY)
    height = -float(rests.world(numbers["Hips"])[0][1])
    if not (height > 0.01 and all(np.isfinite(bone.translation).all() for bone in bones.values())):
        raise broken(path, f"its hips are {height:.2f} m above its origin")
    return Avatar(bones, height, origin, frame)


class Rests:
    """How the nodes of a document lie at rest, in x right, y down, z ahead."""

    def __init__(self, nodes: list[dict[str, Any]], axes: Axes):
        self.nodes, self.axes = nodes, axes
        self.parents = {child: index for index, node in enumerate(nodes) for child in node.get("children", [])}

    def local(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Translation [3] and rotation [4] in the parent node."""
        node = self.nodes[index]
        if "matrix" in node:
            raise ValueError("a bone's node has a matrix")
        translation = np.array(node.get("translation", (0, 0, 0)), float).reshape(3)
        rotation = unit(np.array(node.get("rotation", (0, 0, 0, 1)), float).reshape(4))
        return self.axes.back(translation), self.axes.rotations(rotation)

    def world(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Position [3] and rotation [4] in the model."""
        place, turn = self.local(index)
        if index not in self.parents:
            return place, turn
        origin, frame = self.world(self.parents[index])
        return origin + rotate(frame, place), multiply(frame, turn)
