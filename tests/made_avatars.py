"""VRM avatars that tests make up: the smallest files that VRM 0.x and 1.0 loaders take."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from egostream.body.bones import BONES, INDEX, PARENT_OF
from egostream.body.measure import USUAL_BODY

#: Towards the wearer's right, down and ahead, in the axes of each version's models.
AXES = {0: np.array([1.0, -1.0, -1.0]), 1: np.array([-1.0, -1.0, 1.0])}
HIPS_HEIGHT = 0.86


def make_avatar(path: Path, version=1, body=USUAL_BODY, without=(), turned=0, height=HIPS_HEIGHT) -> Path:
    """A stick avatar of a body's bones. without: bones that it lacks, whose children hang on the next bone above.

    turned: a seed; then its bones have rest rotations of their own, as models from Blender do (VRM 1.0 allows that).
    Its hips hang on a node that is no bone, as most do.
    """
    rng = np.random.default_rng(turned)
    world = {bone: Rotation.random(rng=rng) if turned else Rotation.identity() for bone in BONES}
    places = rest_places(body, AXES[version], height)
    root = np.array([0.0, 0.1, 0.02])
    nodes = [{"name": "root", "translation": root.tolist(), "children": []}]
    index_of = {}
    for bone in BONES:
        if bone in without:
            continue
        parent = PARENT_OF[bone]
        while parent in without:
            parent = PARENT_OF[parent]
        turn, place = (world[parent], places[parent]) if parent else (Rotation.identity(), root)
        index_of[bone] = len(nodes)
        nodes[index_of[parent] if parent else 0].setdefault("children", []).append(len(nodes))
        node = {"name": f"J_{bone}", "translation": turn.inv().apply(places[bone] - place).tolist()}
        if turned:
            node["rotation"] = (turn.inv() * world[bone]).as_quat().tolist()
        nodes.append(node)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        **extension(version, {bone[0].lower() + bone[1:]: node for bone, node in index_of.items()}),
    }
    path.write_bytes(glb(document))
    return path


def rest_places(body, axes, height):
    """Where each bone begins at rest, in the model's axes."""
    places = {}
    for bone, parent in PARENT_OF.items():
        offset = body.offsets[INDEX[bone]] * axes
        places[bone] = places[parent] + offset if parent else np.array([0.0, height, 0.0])
    return places


def extension(version, nodes):
    """The humanoid as each version of VRM tells it."""
    if version == 0:
        bones = [{"bone": bone, "node": node} for bone, node in nodes.items()]
        meta = {"title": "sticks", "version": "1", "author": "a test"}
        return {
            "extensionsUsed": ["VRM"],
            "extensions": {"VRM": {"specVersion": "0.0", "meta": meta, "humanoid": {"humanBones": bones}}},
        }
    meta = {"name": "sticks", "authors": ["a test"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
    humanoid = {"humanBones": {bone: {"node": node} for bone, node in nodes.items()}}
    return {
        "extensionsUsed": ["VRMC_vrm"],
        "extensions": {"VRMC_vrm": {"specVersion": "1.0", "meta": meta, "humanoid": humanoid}},
    }


def glb(document) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A) + text
