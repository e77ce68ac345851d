"""VRMA and GLB files, read by pygltflib, and by three.js and pixiv's loaders where Node has them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from moving_bodies import moving
from scipy.spatial.transform import Rotation

from egostream.body.bones import BONE_JOINTS, FEET, JOINT_BONES, TOE_JOINTS
from egostream.body.bones import BONES as HUMANOID
from egostream.errors import EgostreamError
from egostream.export.gltf import GltfWriter

pygltflib = pytest.importorskip("pygltflib", reason="pip install pygltflib")
MM = 1e-3
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


def write(path, poses, body):
    writer = GltfWriter()
    writer.open(path)
    for pose in poses:
        writer.add(pose)
    writer.finish(body)
    return path


def values(document, accessor):
    """An accessor's floats [n, width]."""
    found = document.accessors[accessor]
    view = document.bufferViews[found.bufferView]
    width = WIDTHS[found.type]
    data = document.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.array(struct.unpack(f"<{found.count * width}f", data)).reshape(-1, width)


def worlds(document, frame):
    """World transforms (position, rotation) of all nodes in a frame, by glTF's rules."""
    nodes = document.nodes
    place = [np.array(node.translation or (0, 0, 0), float) for node in nodes]
    turn = [Rotation.from_quat(node.rotation or (0, 0, 0, 1)) for node in nodes]
    for channel in document.animations[0].channels:
        value = values(document, document.animations[0].samplers[channel.sampler].output)[frame]
        if channel.target.path == "translation":
            place[channel.target.node] = value
        else:
            turn[channel.target.node] = Rotation.from_quat(value)
    found = {}

    def visit(index, position, rotation):
        here = position + rotation.apply(place[index]), rotation * turn[index]
        found[nodes[index].name] = here
        for child in nodes[index].children or []:
            visit(child, *here)

    for root in document.scenes[document.scene].nodes:
        visit(root, np.zeros(3), Rotation.identity())
    return found


def joints_in(document, frame, body):
    """Joints [15, 3] of a frame, in x right, y down, z forward. glTF's toes have no node: the body's are added."""
    found = worlds(document, frame)
    joints = np.empty((15, 3))
    joints[BONE_JOINTS] = [found[HUMANOID[bone]][0] for bone in JOINT_BONES]
    feet = [found[HUMANOID[foot]] for foot in FEET]
    joints[TOE_JOINTS] = [place + turn.apply(toe * [-1, -1, 1]) for (place, turn), toe in zip(feet, body.toes)]
    return joints * [-1, -1, 1]


@pytest.mark.parametrize("name", ["walk.vrma", "walk.glb"])
def test_a_gltf_reader_finds_the_joints(tmp_path, name):
    poses, joints, body = moving()
    document = pygltflib.GLTF2().load_binary(str(write(tmp_path / name, poses, body)))
    for frame in range(0, len(poses), 5):
        np.testing.assert_allclose(joints_in(document, frame, body), joints[frame], atol=MM)
    times = values(document, document.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, [pose.t_ns / 1e9 for pose in poses], atol=1e-6)


def test_a_vrma_is_what_its_specification_asks_for(tmp_path):
    poses, _, body = moving()
    document = pygltflib.GLTF2().load_binary(str(write(tmp_path / "walk.vrma", poses, body)))
    extension = document.extensions["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0" and "VRMC_vrm_animation" in document.extensionsUsed
    bones = {name: document.nodes[bone["node"]].name for name, bone in extension["humanoid"]["humanBones"].items()}
    assert {name.lower() for name in bones} == {bone.lower() for bone in HUMANOID} == {
        bone.lower() for bone in bones.values()
    }  # fmt: skip
    paths = [(channel.target.node, channel.target.path) for channel in document.animations[0].channels]
    assert len(set(paths)) == len(paths)
    moved = [node for node, path in paths if path == "translation"]
    assert moved == [extension["humanoid"]["humanBones"]["hips"]["node"]]
    assert all(node.scale is None and node.rotation is None for node in document.nodes)  # a T-pose, nothing scaled
    lowest = min(place[1] for place in rest_places(document, body))
    assert lowest == pytest.approx(0, abs=MM)
    assert rest_places(document, body)[-1][2] > 0  # toes ahead along z


def rest_places(document, body):
    """Where ankles, knees and toes lie at rest."""
    places = {}
    for index, node in enumerate(document.nodes):
        parents = [n for n in document.nodes if index in (n.children or [])]
        places[node.name] = np.array(node.translation) + (places[parents[0].name] if parents else 0)
    feet = (places["LeftFoot"], places["RightFoot"])
    return [*places.values(), *(foot + toe * [-1, -1, 1] for foot, toe in zip(feet, body.toes))]


def test_rotations_are_continuous_in_sign(tmp_path):
    poses, _, body = moving(90)
    document = pygltflib.GLTF2().load_binary(str(write(tmp_path / "walk.vrma", poses, body)))
    for sampler in document.animations[0].samplers[1:]:
        turns = values(document, sampler.output)
        assert ((turns[1:] * turns[:-1]).sum(-1) >= 0).all()


def test_sticks_reach_from_joint_to_joint(tmp_path):
    """In a GLB every bone has a stick from its beginning to the next bone's: the mesh's z = 1 lies on the elbow."""
    poses, joints, body = moving(3)
    document = pygltflib.GLTF2().load_binary(str(write(tmp_path / "walk.glb", poses, body)))
    found = worlds(document, 1)
    stick = next(node for node in document.nodes if node.name == "LeftUpperArm stick")
    place, turn = found["LeftUpperArm stick"]
    np.testing.assert_allclose(place + turn.apply([0, 0, stick.scale[2]]), found["LeftLowerArm"][0], atol=MM)


def test_no_pose_is_an_error(tmp_path):
    _, _, body = moving(1)
    with pytest.raises(EgostreamError, match="no pose to write"):
        write(tmp_path / "none.vrma", [], body)


def test_three_js_plays_a_vrma_on_an_avatar(tmp_path, node_packages):
    """pixiv's three-vrm-animation moves a VRM avatar of the same bones: its bones come to lie on the joints."""
    from made_avatars import make_avatar

    poses, joints, body = moving()
    write(tmp_path / "walk.vrma", poses, body)
    avatar = make_avatar(tmp_path / "avatar.vrm", version=1, body=body, height=body.hips_height)
    times = [poses[n].t_ns / 1e9 for n in range(0, len(poses), 5)]
    played = node_packages.run("play_vrma.mjs", avatar, tmp_path / "walk.vrma", json.dumps(times))
    for n, places in enumerate(played):
        for bone, joint in zip(JOINT_BONES, BONE_JOINTS):
            name = HUMANOID[bone]
            place = np.array(places[name[0].lower() + name[1:]]) * [-1, -1, 1]
            np.testing.assert_allclose(place, joints[5 * n][joint], atol=MM, err_msg=f"{name} at {times[n]}")
