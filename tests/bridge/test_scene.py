"""One frame as a bridge sees it: in the room that its message tells, or in a guess. By SciPy's rotations."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from bridges import pose_joints
from scipy.spatial.transform import Rotation
from standing_wearer import tracked

from egostream.body.bones import BONE_JOINTS, JOINT_BONES
from egostream.bridge.scene import Follower, Scene
from egostream.bridge.vmt import VmtOptions, VmtReceiver
from egostream.head.room import Guess
from egostream.publish.message import PlacedHead

JOINTS_SEEN = pose_joints()  # [15, 3], camera axes
UP = np.array([1.0, -1.0, -1.0])  # bridges' axes (x right, y down, z ahead) <-> OpenXR's
HEADSET = Rotation.from_euler("YXZ", [130, -20, 8], degrees=True), np.array([1.5, 1.6, -2.0])
MOUNT = Rotation.from_euler("xyz", [240, 4, -3], degrees=True), np.array([0.02, 0.05, -0.09])
JOINTS_WORLD = HEADSET[0].apply(MOUNT[0].apply(JOINTS_SEEN) + MOUNT[1]) + HEADSET[1]
HEAD = PlacedHead(position=HEADSET[1].tolist(), orientation=HEADSET[0].as_quat().tolist(), space="openvr standing")
IN_HEADSET = {"joints_world": JOINTS_WORLD.tolist(), "head": HEAD, "world": "headset"}


def scene(follower=None, n=1, **placed) -> Scene:
    return Scene(tracked(JOINTS_SEEN, t_capture_ns=n * 33_333_333, **placed), follower or Follower())


def in_head(points: np.ndarray) -> np.ndarray:
    """Points of the room in the headset's axes (OpenXR)."""
    return HEADSET[0].inv().apply(points - HEADSET[1])


def test_a_pose_goes_where_the_message_says():
    one = scene(**IN_HEADSET)
    assert one.world == "headset"
    np.testing.assert_allclose(one.placed.joints * UP, JOINTS_WORLD, atol=1e-9)
    bones = one.body.origins(one.placed.pose)[JOINT_BONES] * UP
    np.testing.assert_allclose(bones, JOINTS_WORLD[BONE_JOINTS], atol=1e-3)


def test_the_headset_tells_how_the_head_is_turned_also_after_it_ended():
    follower = Follower()
    for one in (scene(follower, **IN_HEADSET), scene(follower, 2)):  # the second: by what the mount was
        head = Rotation.from_quat(one.pose.rotation("Head"))  # from the head's axes to the camera's
        flip = Rotation.from_euler("x", 180, degrees=True)
        assert np.degrees((head.inv() * MOUNT[0].inv() * flip).magnitude()) < 1e-3


def test_without_a_room_in_the_message_the_guess_is_that_of_a_run():
    one, placed = scene(), Guess().place(33_333_333, JOINTS_SEEN)
    assert one.world == "guess"
    np.testing.assert_allclose(one.placed.joints * UP, placed.joints_world, atol=1e-9)
    told = scene(joints_world=placed.joints_world, world="guess")
    assert told.world == "guess" and told.head is None
    np.testing.assert_allclose(told.placed.joints, one.placed.joints, atol=1e-9)


def test_a_stature_keeps_the_head_of_a_headset_and_the_floor_of_a_guess():
    room, placed = scene(Follower(2.0), **IN_HEADSET), Guess().place(0, JOINTS_SEEN)
    guess = scene(Follower(2.0), joints_world=placed.joints_world, world="guess")
    for one, before in ((room, JOINTS_WORLD), (guess, np.array(placed.joints_world))):
        scale = one.follower.solve.measure.scale if one.pose else 0
        assert scale > 1.05
        sizes = np.linalg.norm(one.placed.joints - one.placed.joints[0], axis=1)
        np.testing.assert_allclose(sizes, scale * np.linalg.norm(before - before[0], axis=1))
    camera = HEADSET[0].apply(MOUNT[1]) + HEADSET[1]
    grown = room.placed.joints * UP - camera, JOINTS_WORLD - camera
    np.testing.assert_allclose(np.linalg.norm(grown[0], axis=1) / np.linalg.norm(grown[1], axis=1), scale, rtol=1e-9)
    assert guess.placed.joints[:, 1].max() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("placed", [{}, IN_HEADSET], ids=["guess", "headset"])
def test_in_place_the_hips_stay_above_the_origin(placed):
    one = scene(Follower(walks=False), **placed)
    assert np.allclose(one.placed.pose.hips[[0, 2]], 0) and abs(one.placed.pose.hips[1]) > 0.5


@pytest.mark.parametrize("joints_world", [[[0.5] * 3] * 15, [[float(n)] * 3 for n in range(15)]])
def test_a_room_that_is_none_gives_numbers(joints_world):
    one = scene(joints_world=joints_world, world="else")
    assert one.world == "else" and np.isfinite(one.placed.pose.rotations).all() and np.isfinite(one.placed.joints).all()


def test_a_headset_without_a_mount_is_said_with_the_command_that_mends_it():
    guess = {"joints_world": JOINTS_WORLD.tolist(), "world": "guess"}
    one = scene(**guess, head=HEAD)
    assert one.head is None and "egostream mount" in one.room
    vmt = VmtReceiver(VmtOptions("127.0.0.1:9", relative_to="room"))
    assert "egostream mount" in vmt.room(one) and "mount" not in vmt.room(scene(**guess))
    vmt.close()
    assert "guess" in scene(**guess).room and "headset's" in scene(**IN_HEADSET).room


@pytest.mark.parametrize("head", [PlacedHead(), PlacedHead(orientation=[0.0] * 4, position=[0.0] * 3)])
def test_a_headset_that_tells_no_rotation_is_none(head):
    one = scene(**IN_HEADSET | {"head": head})
    assert one.head is None and np.isfinite(one.placed.pose.rotations).all()


@pytest.mark.parametrize("relative_to", ["auto", "headset", "room"])
def test_vmt_asks_for_the_room_only_where_it_is_steamvrs(relative_to):
    """And relative to the headset, its pose at capture counts, not the guess of how the camera sits."""
    osc_bundle = pytest.importorskip("pythonosc.osc_bundle", reason="pip install python-osc")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        vmt = VmtReceiver(VmtOptions(f"127.0.0.1:{receiver.getsockname()[1]}", relative_to=relative_to))
        other = IN_HEADSET | {"head": PlacedHead(position=HEAD.position, orientation=HEAD.orientation, space="vrchat")}
        for placed, is_room in (
            (IN_HEADSET, relative_to != "headset"),
            (other, relative_to == "room"),
            ({}, False),
        ):
            vmt.send(scene(**placed))
            hip = list(osc_bundle.OscBundle(receiver.recv(2000)))[0]
            assert hip.address == ("/VMT/Room/Unity" if is_room else "/VMT/Joint/Unity")
            hips = JOINTS_WORLD[[7, 11]].mean(0)
            if placed:
                expected = (hips if is_room else in_head(hips)) * [1, 1, -1]
                assert np.allclose(hip.params[3:6], expected, atol=2e-3)
        vmt.close()
