"""The VMC bridge: a receiver in another process rebuilds an avatar by VMC's rules, and finds the published bones."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from bridges import TESTS, Program, best_turn_deg, bridge, directions, osc_bundles
from conftest import ROOT
from made_avatars import make_avatar
from scipy.spatial.transform import Rotation

from egostream.body.measure import USUAL_BODY
from egostream.skeleton import JOINTS

pytest.importorskip("pythonosc", reason="pip install python-osc")
#: Bones of an avatar whose ends are joints: (bone, next bone), (joint, next joint).
LIMBS = [
    ((f"{side}{bone}", f"{side}{after}"), (f"{side.lower()}_{start}", f"{side.lower()}_{end}"))
    for side in ("Left", "Right")
    for bone, after, start, end in (
        ("UpperArm", "LowerArm", "shoulder", "elbow"),
        ("LowerArm", "Hand", "elbow", "wrist"),
        ("UpperLeg", "LowerLeg", "hip", "knee"),
        ("LowerLeg", "Foot", "knee", "ankle"),
    )
] + [(("LeftUpperLeg", "RightUpperLeg"), ("left_hip", "right_hip"))]
JOINT_PAIRS = [tuple(JOINTS.index(name) for name in pair) for _, pair in LIMBS]


def bones_of(datagrams):
    """The newest translation and rotation of each bone, in Unity's axes."""
    bones = {}
    for _, messages, _ in datagrams:
        for address, arguments in messages:
            if address == "/VMC/Ext/Bone/Pos":
                bones[arguments[0]] = np.array(arguments[1:4]), np.array(arguments[4:8])
    return bones


def unity_places(avatar: Path, bones) -> dict[str, np.ndarray]:
    """Where an avatar's bones come to lie by a receiver's rules: each bone's node gets the received local transform,
    all other nodes keep theirs. Places are in Unity's axes, which is where the file's importer puts the model."""
    data = avatar.read_bytes()
    document = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    if "VRM" in document["extensions"]:
        named = {one["bone"]: one["node"] for one in document["extensions"]["VRM"]["humanoid"]["humanBones"]}
        flip = np.array([1, 1, -1])
    else:
        listed = document["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]
        named, flip = {bone: one["node"] for bone, one in listed.items()}, np.array([-1, 1, 1])
    bone_at = {node: bone[0].upper() + bone[1:] for bone, node in named.items()}
    places = {}

    def visit(index, place, turn):
        node = document["nodes"][index]
        if bone_at.get(index) in bones:
            own_place, own_turn = bones[bone_at[index]]
        else:
            own_place = np.array(node.get("translation", [0, 0, 0])) * flip
            q = np.array(node.get("rotation", [0, 0, 0, 1]))
            own_turn = q * [*(-flip), 1]  # a mirrored axis keeps the rotation about it, and turns the others round
        place, turn = place + turn.apply(own_place), turn * Rotation.from_quat(own_turn)
        if index in bone_at:
            places[bone_at[index]] = place
        for child in node.get("children", []):
            visit(child, place, turn)

    visit(0, np.zeros(3), Rotation.identity())
    return places


def worst_bone_deg(places, joints) -> float:
    """How far an avatar's bones lie off the published joints, whatever way the room is turned."""
    there = directions(places, [pair for pair, _ in LIMBS]) * [1, -1, 1]
    return best_turn_deg(directions(joints, JOINT_PAIRS), there)


AVATARS = {
    "vrm 0": {"version": 0},
    "vrm 1": {"version": 1},
    "vrm 1, turned at rest": {"version": 1, "turned": 3},
    "vrm 0 without what is optional": {"version": 0, "without": ("Chest", "Neck", "LeftShoulder", "RightShoulder")},
    "vrm 1 turned, without a chest": {"version": 1, "turned": 4, "without": ("Chest",)},
}


@pytest.mark.parametrize("kind", AVATARS)
def test_an_avatar_takes_the_published_pose(stage, tmp_path, kind):
    stream, start = stage
    avatar = make_avatar(tmp_path / "me.vrm", body=USUAL_BODY.scaled(1.4), height=1.2, **AVATARS[kind])
    places = unity_places(avatar, bones_of(osc_bundles(start, stream, "vmc", "--avatar", str(avatar), count=6)))
    assert worst_bone_deg(places, stream.joints) < 1
    lowest = min(places[f"{side}Foot"][1] for side in ("Left", "Right"))
    assert 0 < lowest < 0.25  # ankles, above the floor: the hips' height is the avatar's


def test_without_an_avatar_the_wearers_own_bones_move(stage):
    """What a receiver sees: types, names, state, sizes, and bones by our own lengths."""
    stream, start = stage
    datagrams = osc_bundles(start, stream, "vmc")
    assert max(size for size, _, _ in datagrams) < 1500
    messages = [message for _, listed, _ in datagrams for message in listed]
    assert ["/VMC/Ext/OK", [1, 3, 0, 1]] in messages
    assert ["/VMC/Ext/Root/Pos", ["root", 0, 0, 0, 0, 0, 0, 1]] in messages
    kinds = {message[0]: kind for _, listed, kinds in datagrams for message, kind in zip(listed, kinds)}
    assert kinds["/VMC/Ext/OK"] == ["int"] * 4 and kinds["/VMC/Ext/Bone/Pos"] == ["str"] + ["float"] * 7
    assert kinds["/VMC/Ext/T"] == ["float"]
    bones = bones_of(datagrams)
    assert len(bones) == 19
    forearm = np.linalg.norm(stream.joints[JOINTS.index("left_wrist")] - stream.joints[JOINTS.index("left_elbow")])
    assert np.linalg.norm(bones["LeftHand"][0]) == pytest.approx(forearm, abs=1e-3)


def test_unbundled_and_turned_round(stage):
    stream, start = stage
    plain = bones_of(osc_bundles(start, stream, "vmc"))
    datagrams = osc_bundles(start, stream, "vmc", "--unbundled", "--yaw-180", count=44)
    assert all(len(messages) == 1 for _, messages, _ in datagrams)
    turned = bones_of(datagrams)
    ahead, behind = (Rotation.from_quat(bones["Hips"][1]).apply([0, 0, 1]) for bones in (plain, turned))
    np.testing.assert_allclose(behind, ahead * [-1, 1, -1], atol=0.01)
    np.testing.assert_allclose(turned["LeftUpperArm"][1], plain["LeftUpperArm"][1], atol=0.01)


def test_the_rate_is_capped(stage):
    stream, start = stage
    datagrams = osc_bundles(start, stream, "vmc", "--rate", "5", count=12)
    times = sorted({m[1][0] for _, messages, _ in datagrams for m in messages if m[0] == "/VMC/Ext/T"})
    assert np.diff(times).mean() > 0.15  # 0.2 s but for what was late, and the stream is 30 a second


def test_a_receiver_that_is_absent_or_started_again_stops_nothing(stage):
    """It answers garbage, too (osc_receiver.py)."""
    stream, start = stage
    first = start(str(TESTS / "osc_receiver.py"))
    port = first.json()
    sender = bridge(start, stream, "vmc", "--to", f"127.0.0.1:{port}")
    first.json()
    first.close()
    assert sender.says("VMC at")
    seq = stream.seq
    while stream.seq < seq + 30:  # a second without a receiver
        sender.process.poll()
    second = start(str(TESTS / "osc_receiver.py"), str(port))
    assert second.json() == port and second.newest(4)
    assert sender.process.poll() is None


def test_a_stream_that_is_absent_is_waited_for(tmp_path):
    sender = Program("-m", "egostream", "bridge", "vmc", "--endpoint", f"ipc://{tmp_path}/nothing", "--to", ":9")
    try:
        assert sender.says("waiting for poses") and sender.process.poll() is None
        sender.process.terminate()
        assert sender.process.wait(10) == 0
    finally:
        sender.close()


def broken_avatars(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no avatar, and what is said of each."""
    good = make_avatar(folder / "good.vrm").read_bytes()
    cases = {"text": (b"hello", "no binary glTF"), "cut": (good[:300], "JSON is damaged"), "empty": (b"", "no binary")}
    cases["no humanoid"] = (glb({"asset": {}, "nodes": []}), "names no humanoid bones")
    cases["no arms"] = (
        make_avatar(folder / "armless.vrm", without=("LeftUpperArm", "LeftLowerArm", "LeftHand")).read_bytes(),
        "lacks bones: LeftUpperArm, LeftLowerArm, LeftHand",
    )
    damaged = {"VRMC_vrm": {"humanoid": {"humanBones": 7}}}
    cases["damaged"] = (glb({"nodes": [{}], "extensions": damaged}), "is damaged")
    loop = json.loads(good[20:])
    loop["nodes"][4]["children"] = [1]
    cases["a ring of nodes"] = (glb(loop), "is damaged")
    found = {}
    for name, (data, what) in cases.items():
        found[name] = folder / f"{name}.vrm", what
        found[name][0].write_bytes(data)
    found["absent"] = folder / "nowhere.vrm", "No such file"
    found["folder"] = folder, "Is a directory"
    return found


def glb(document) -> bytes:
    text = json.dumps(document).encode()
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A) + text


def test_a_file_that_is_no_avatar_is_named_in_one_line(tmp_path, subtests):
    from egostream.bridge.avatar import load_avatar
    from egostream.errors import EgostreamError

    for name, (path, what) in broken_avatars(tmp_path).items():
        with subtests.test(name), pytest.raises(EgostreamError) as caught:
            load_avatar(path)
        text = str(caught.value)
        assert what in text and str(path) in text and "\n" not in text, text


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--to", "no.such.host.invalid:1"), "has no address"),
        (("--to", "127.0.0.1:99999"), "is no port"),
        (("--avatar", "pyproject.toml"), "no binary glTF"),
        (("--stature", "17"), "from 0.5 to 2.6"),
        (("--endpoint", "nowhere"), "cannot connect to nowhere"),
    ],
)
def test_settings_that_cannot_be_used_end_in_one_line(arguments, what):
    sender = Program("-m", "egostream", "bridge", "vmc", *arguments)
    try:
        assert sender.process.wait(60) == 1 and sender.says(what, 1)
        assert len(sender.errors) == 1 and str(ROOT) not in sender.errors[0]
    finally:
        sender.close()
