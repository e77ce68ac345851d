"""The tracker bridges, VRChat and VMT: a receiver in another process takes their poses by its own rules."""

from __future__ import annotations

import numpy as np
import pytest
from bridges import CROOKED, Program, best_turn_deg, directions, osc_bundles
from made_bodies import posed
from scipy.spatial.transform import Rotation

from egostream.publish.message import Placed, PlacedHead
from egostream.skeleton import JOINTS

pytest.importorskip("pythonosc", reason="pip install python-osc")
ALL = "hip,feet,knees,chest,elbows"
#: Joints that trackers sit on, by number; the hip sits between the hip joints, the chest on no joint.
SEATS = {
    2: "left_ankle", 3: "right_ankle", 4: "left_knee", 5: "right_knee", 7: "left_elbow", 8: "right_elbow"
}  # fmt: skip
PAIRS = [(1, 4), (1, 5), (4, 2), (5, 3), (1, 7), (1, 8), (7, 8)]
ON_BONES = {4: "LeftUpperLeg", 5: "RightUpperLeg", 7: "LeftUpperArm", 8: "RightUpperArm", 1: "Hips", 6: "Chest"}


def seats(joints):
    found = {number: joints[JOINTS.index(name)] for number, name in SEATS.items()}
    found[1] = joints[[JOINTS.index("left_hip"), JOINTS.index("right_hip")]].mean(0)
    return found


def worst_deg(places, joints):
    """How far directions between trackers lie off those between joints, whatever way the room is turned."""
    there = directions(places, PAIRS) * [1, -1, 1]
    return best_turn_deg(directions(seats(joints), PAIRS), there)


def trackers_of(datagrams, name="/tracking/trackers/"):
    found = {}
    for _, messages, _ in datagrams:
        for address, values in messages:
            tracker, what = address.removeprefix(name).split("/")
            found.setdefault(int(tracker) if tracker.isdigit() else tracker, {})[what] = np.array(values)
    return found


def unity_euler(degrees):
    """A rotation as Unity makes it of Euler angles: about z, then x, then y. Unity is left-handed: in its own numbers,
    the matrices are the usual ones."""
    x, y, z = np.radians(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return ry @ rx @ rz


def in_a_headset(joints, space="openvr standing"):
    """(joints in the room, the headset, what a message tells of both) for joints in a camera's axes; OpenXR's axes."""
    headset = Rotation.from_euler("YXZ", [130, -20, 8], degrees=True)
    T_head_camera = Rotation.from_euler("xyz", [185, 4, -3], degrees=True), np.array([0.02, 0.05, -0.09])
    place = np.array([1.5, 1.6, -2.0])
    joints_world = headset.apply(T_head_camera[0].apply(joints) + T_head_camera[1]) + place
    head = PlacedHead(position=place.tolist(), orientation=headset.as_quat().tolist(), space=space)
    return joints_world, (headset, place), Placed(joints_world=joints_world.tolist(), head=head, world="headset")


def relative_deg(turns, pose):
    """How far rotations between trackers lie off those between the bones that they sit on, the arms' twist aside."""
    flip = np.diag([1, -1, 1])
    worst = 0.0
    for number, bone in ON_BONES.items():
        here = Rotation.from_quat(pose.rotation("Hips")).inv() * Rotation.from_quat(pose.rotation(bone))
        there = Rotation.from_matrix(flip @ turns[1].T @ turns[number] @ flip)
        worst = max(worst, np.degrees((here.inv() * there).magnitude()))
    return worst


def test_vrchat_gets_trackers_on_the_joints_in_its_axes(stage):
    stream, start = stage
    datagrams = osc_bundles(start, stream, "vrchat", "--trackers", ALL)
    assert max(size for size, _, _ in datagrams) < 1500
    assert all(kind == ["float"] * 3 for _, _, kinds in datagrams for kind in kinds)
    found = trackers_of(datagrams)
    assert set(found) == {"head", *range(1, 9)}
    places = {number: tracker["position"] for number, tracker in found.items()}
    assert worst_deg(places, stream.joints) < 1
    assert min(place[1] for place in places.values()) == pytest.approx(0.06, abs=0.06)  # ankles, above the floor
    head, hip = places["head"], places[1]
    assert head[1] > hip[1] + 0.5
    turns = {number: unity_euler(tracker["rotation"]) for number, tracker in found.items()}
    assert relative_deg(turns, posed(**CROOKED)) < 1
    ahead = turns[1] @ [0, 0, 1]
    right = places[5] - places[4]
    assert ahead[2] > 0.95 and right[0] > 0  # the hips look ahead


def test_vrchat_sends_what_is_asked_for(stage):
    stream, start = stage
    assert set(trackers_of(osc_bundles(start, stream, "vrchat", "--head", "none"))) == {1, 2, 3}
    head = trackers_of(osc_bundles(start, stream, "vrchat", "--head", "position", "--trackers", "chest"))
    assert set(head) == {"head", 6} and set(head["head"]) == {"position"}


def test_vrchat_is_scaled_to_the_stature(stage):
    stream, start = stage
    small, tall = (
        trackers_of(osc_bundles(start, stream, "vrchat", "--trackers", ALL, "--stature", metres))
        for metres in ("1.5", "1.8")
    )
    apart = [np.linalg.norm(one[7]["position"] - one[2]["position"]) for one in (small, tall)]
    assert apart[1] / apart[0] == pytest.approx(1.2, abs=0.001)


def test_vmt_gets_trackers_relative_to_the_headset(stage):
    stream, start = stage
    options = ("--trackers", ALL, "--first-index", "10", "--camera-offset", "0,0.05,0.1")
    datagrams = osc_bundles(start, stream, "vmt", *options)
    _, messages, kinds = datagrams[-1]
    assert all(address == "/VMT/Joint/Unity" for address, _ in messages)
    assert all(kind == ["int", "int", *["float"] * 8, "str"] for kind in kinds)
    found = {values[0] - 9: values for _, values in messages}
    assert set(found) == set(range(1, 9)) and {values[1] for values in found.values()} == {7}
    assert {(values[2], values[10]) for values in found.values()} == {(0.0, "HMD")}
    places = {number: np.array(values[3:6]) for number, values in found.items()}
    assert worst_deg(places, stream.joints) < 1
    lens = {n: np.linalg.norm(place - [0, 0.05, 0.1]) for n, place in places.items()}  # from the camera, as published
    for number, seat in seats(stream.joints).items():
        assert lens[number] == pytest.approx(np.linalg.norm(seat), abs=2e-3)
    turns = {number: Rotation.from_quat(values[6:10]).as_matrix() for number, values in found.items()}
    assert relative_deg(turns, posed(**CROOKED)) < 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("vrchat", "--trackers", "hip,tail"), "'tail' is unknown"),
        (("vrchat", "--trackers", ","), "no part is named"),
        (("vrchat", "--head", "hat"), "choose one of both, position, none"),
        (("vmt", "--first-index", "56"), "VMT has 0 to 57"),
        (("vmt", "--relative-to", "moon"), "choose one of auto, headset, room"),
        (("vmt", "--camera-offset", "1,2"), "metres right, up and ahead"),
        (("vmt", "--camera-offset", "0,nan,0"), "metres right, up and ahead"),
    ],
)
def test_settings_that_cannot_be_used_end_in_one_line(arguments, what):
    sender = Program("-m", "egostream", "bridge", *arguments)
    try:
        assert sender.process.wait(60) == 1 and sender.says(what, 1) and len(sender.errors) == 1
    finally:
        sender.close()


def test_the_room_that_a_bridge_shows_is_said_once_per_change(stage):
    stream, start = stage
    vrchat, vmt = (
        start("-m", "egostream", "bridge", kind, "--endpoint", stream.endpoint, "--to", ":9")
        for kind in ("vrchat", "vmt")
    )
    assert vrchat.says("the room is a guess") and vmt.says("relative to the headset")
    _, _, stream.placed = in_a_headset(stream.joints)
    assert vrchat.says("the room is the headset's") and vmt.says("in SteamVR's room")
    stream.placed = None
    seq = stream.seq
    while stream.seq < seq + 10:
        vrchat.process.poll()
    assert sum("guess" in line for line in vrchat.errors) == 2 and len(vrchat.errors) == 4


def test_vmt_gets_trackers_in_steamvrs_room_by_the_pose_of_the_headset_at_capture(stage):
    """The receiver finds the joints where the run says that they are in the room, whatever the wearer's head does."""
    stream, start = stage
    joints_world, _, stream.placed = in_a_headset(stream.joints)
    _, messages, kinds = osc_bundles(start, stream, "vmt", "--trackers", ALL, "--first-index", "10")[-1]
    assert {address for address, _ in messages} == {"/VMT/Room/Unity"}
    assert all(kind == ["int", "int", *["float"] * 8] for kind in kinds)
    found = {values[0] - 9: values for _, values in messages}
    places = {number: np.array(values[3:6]) for number, values in found.items()}
    for number, seat in seats(joints_world).items():
        assert np.allclose(places[number], seat * [1, 1, -1], atol=2e-3), number  # OpenXR's axes -> Unity's
    turns = {number: Rotation.from_quat(values[6:10]).as_matrix() for number, values in found.items()}
    assert relative_deg(turns, posed(**CROOKED)) < 1
    right = joints_world[JOINTS.index("right_hip")] - joints_world[JOINTS.index("left_hip")]
    assert np.allclose(turns[1] @ [1, 0, 0], right / np.linalg.norm(right) * [1, 1, -1], atol=0.02)
