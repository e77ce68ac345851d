"""glTF: VRMA, which plays on any VRM avatar, and GLB with sticks for bones, which any 3D program shows.

VRMA is glTF with the extension VRMC_vrm_animation 1.0 (github.com/vrm-c/vrm-specification): a T-pose that looks along
z, soles at y = 0, rotations of the bones, translation of the hips alone.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from egostream.body.bones import BONES, INDEX, PARENT_OF
from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.export.writer import FILE_AXES, PoseList
from egostream.files import write_whole

MAGIC, VERSION, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
FLOAT, UNSIGNED_SHORT, ARRAY_BUFFER, ELEMENT_BUFFER = 5126, 5123, 34962, 34963
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
EXTENSION = "VRMC_vrm_animation"
GENERATOR = "egostream"
#: A stick: a double pyramid from z = 0 to z = 1, scaled to each bone.
STICK_WIDTH, STICK_WAIST = 0.1, 0.15
STICK_FACES = [[0, i, i % 4 + 1] for i in range(1, 5)] + [[5, i % 4 + 1, i] for i in range(1, 5)]


class GltfWriter:
    """Writes a ``.vrma`` or a ``.glb``, as the path ends. Poses keep their own times."""

    def __init__(self) -> None:
        self.list = PoseList()

    def open(self, path: Path) -> None:
        """Begin a file; nothing is written before ``finish``."""
        self.list.open(path)

    def add(self, pose: BodyPose) -> None:
        """Take a pose, in a room's axes: x right, y down, z forward, the floor at y = 0."""
        self.list.add(pose)

    def finish(self, body: Body) -> None:
        """Write the file whole. Raises EgostreamError where it cannot be written, or has no pose."""
        path = self.list.target()
        document = Animated(body)
        document.animate(self.list.times(), self.list.hips(), self.list.rotations())
        document.name_bones() if path.suffix == ".vrma" else document.add_sticks(body)
        write_whole(path, document.glb())


def human_bone(bone: str) -> str:
    """The name of a bone in VRM: "LeftUpperArm" is "leftUpperArm"."""
    return bone[0].lower() + bone[1:]


def tails(body: Body) -> list[tuple[str, np.ndarray]]:
    """Each stick: the bone that it turns with, and where it ends [3], in the file's axes."""
    ends = [(PARENT_OF[bone], body.offsets[INDEX[bone]]) for bone in BONES[1:]]
    ends += [("Head", body.crown), ("LeftHand", body.fingers[0]), ("RightHand", body.fingers[1])]
    ends += [("LeftFoot", body.toes[0]), ("RightFoot", body.toes[1])]
    return [(bone, FILE_AXES.points(end)) for bone, end in ends if np.linalg.norm(end) > 1e-4]


class Document:
    """A glTF document that grows, and its binary buffer."""

    def __init__(self, nodes: list[dict[str, Any]]):
        """nodes: as glTF has them; the first is the scene's root."""
        self.binary = bytearray()
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": GENERATOR},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": nodes,
            "accessors": [],
            "bufferViews": [],
        }

    def add(self, values: np.ndarray, target: int = 0) -> int:
        """Put an array [n, width] into the buffer. Returns the number of its accessor."""
        values = np.asarray(values)
        is_index = values.dtype == np.uint16
        data = values.astype("<u2" if is_index else "<f4")
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": data.nbytes}
        self.json["bufferViews"].append(view | ({"target": target} if target else {}))
        self.binary += data.tobytes() + b"\0" * (-data.nbytes % 4)
        accessor = {
            "bufferView": len(self.json["bufferViews"]) - 1,
            "componentType": UNSIGNED_SHORT if is_index else FLOAT,
            "count": len(data),
            "type": KINDS[data.shape[1]],
            "min": data.min(0).tolist(),
            "max": data.max(0).tolist(),
        }
        self.json["accessors"].append(accessor)
        return len(self.json["accessors"]) - 1

    def glb(self) -> bytes:
        """The document as one binary file."""
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = b"".join(
            struct.pack("<II", len(data), kind) + data
            for data, kind in ((text, JSON_CHUNK), (bytes(self.binary), BINARY_CHUNK))
        )
        return struct.pack("<III", MAGIC, VERSION, 12 + len(chunks)) + chunks


class Animated(Document):
    """A body that moves."""

    def __init__(self, body: Body):
        offsets = FILE_AXES.points(body.offsets)
        offsets[0] = 0, body.hips_height, 0
        nodes: list[dict[str, Any]] = [
            {"name": bone, "translation": offset.tolist()} for bone, offset in zip(BONES, offsets)
        ]
        for bone, parent in PARENT_OF.items():
            if parent:
                nodes[INDEX[parent]].setdefault("children", []).append(INDEX[bone])
        super().__init__(nodes)

    def animate(self, times: np.ndarray, hips: np.ndarray, rotations: np.ndarray) -> None:
        """Add the animation: times [F] in seconds, hips [F, 3], local rotations [F, 19, 4]."""
        start = self.add(times[:, None])
        tracks = [(0, "translation", hips)] + [(n, "rotation", rotations[:, n]) for n in range(len(BONES))]
        samplers = [{"input": start, "output": self.add(values), "interpolation": "LINEAR"} for *_, values in tracks]
        channels = [{"sampler": n, "target": {"node": node, "path": path}} for n, (node, path, _) in enumerate(tracks)]
        self.json["animations"] = [{"name": "poses", "samplers": samplers, "channels": channels}]

    def name_bones(self) -> None:
        """Say which node is which bone of a humanoid, as VRMA wants it."""
        humanoid = {"humanBones": {human_bone(bone): {"node": index} for bone, index in INDEX.items()}}
        self.json["extensionsUsed"] = [EXTENSION]
        self.json["extensions"] = {EXTENSION: {"specVersion": "1.0", "humanoid": humanoid}}

    def add_sticks(self, body: Body) -> None:
        """Give each bone a stick to be seen by."""
        ring = [[0, 1], [1, 0], [0, -1], [-1, 0]]
        points = [[0, 0, 0], *([x * STICK_WIDTH, y * STICK_WIDTH, STICK_WAIST] for x, y in ring), [0, 0, 1]]
        attributes = {"POSITION": self.add(np.array(points, np.float32), ARRAY_BUFFER)}
        faces = self.add(np.array(STICK_FACES, np.uint16).reshape(-1, 1), ELEMENT_BUFFER)
        self.json["meshes"] = [{"name": "stick", "primitives": [{"attributes": attributes, "indices": faces}]}]
        for bone, end in tails(body):
            length = float(np.linalg.norm(end))
            stick = {"name": f"{bone} stick", "mesh": 0, "rotation": from_z(end / length), "scale": [length] * 3}
            self.json["nodes"].append(stick)
            self.json["nodes"][INDEX[bone]].setdefault("children", []).append(len(self.json["nodes"]) - 1)


def from_z(direction: np.ndarray) -> list[float]:
    """The shortest rotation from z to a unit direction; from z to its opposite, a half turn about x."""
    x, y, z = direction.tolist()
    turn = np.array([-y, x, 0.0, 1 + z]) if z > -0.9999 else np.array([1.0, 0.0, 0.0, 0.0])
    return (turn / np.linalg.norm(turn)).tolist()
