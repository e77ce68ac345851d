"""Poses in the room: against homogeneous matrices of SciPy's rotations, by gravity alone, and as a guess."""

from __future__ import annotations

import time

import numpy as np
import pytest
from made_rooms import T_HEAD_CAMERA, room_of, told
from scipy.spatial.transform import Rotation
from standing_wearer import STANDING, seen_from

from egostream.calibration.file import canonical_calibration
from egostream.calibration.mount import Mount, delivered_calibration
from egostream.config import RunConfig
from egostream.head.ground import HIPS
from egostream.head.room import Guess, missing_mount
from egostream.publish.message import PlacedHead
from egostream.skeleton import JOINTS
from egostream.types import Pose


def test_joints_go_through_the_head_into_the_room():
    room, now = room_of(), time.monotonic_ns()
    orientation = Rotation.from_euler("YXZ", [1.0, -0.4, 0.2])
    told(room, now, position=(1.0, 1.7, -2.0), orientation=tuple(orientation.as_quat()), space="stage")
    joints = np.random.default_rng(0).normal(0, 1, (15, 3))
    placed = room.place(now, joints)
    T_world_head = np.eye(4)
    T_world_head[:3, :3], T_world_head[:3, 3] = orientation.as_matrix(), [1.0, 1.7, -2.0]
    expected = (T_world_head @ np.array(T_HEAD_CAMERA) @ np.column_stack([joints, np.ones(15)]).T)[:3].T
    assert np.allclose(placed.joints_world, expected) and placed.world == "headset"
    assert np.allclose(placed.head.position, [1.0, 1.7, -2.0]) and placed.head.space == "stage"
    assert room.status().state == "tracking" and room.status().has_mount


def test_a_wearer_who_stands_is_upright_in_the_room():
    """The whole chain: however the camera sits, the feet are 1.6 m below the eyes."""
    room, now = room_of(), time.monotonic_ns()
    told(room, now, position=(0.0, 1.65, 0.0), orientation=(0.0, 0.0, 0.0, 1.0))
    placed = room.place(now, seen_from(np.array(T_HEAD_CAMERA)))
    assert np.allclose(placed.joints_world, STANDING + [0, 1.65, 0])


def test_without_a_mount_there_is_the_head_in_a_room_that_is_a_guess():
    room, now = room_of(None), time.monotonic_ns()
    told(room, now, position=(0.0, 1.65, 0.0), orientation=(0.0, 0.0, 0.0, 1.0))
    placed = room.place(now, STANDING)
    assert isinstance(placed.head, PlacedHead) and placed.world == "guess"
    assert placed.joints_world == Guess().place(now, STANDING).joints_world
    camera = canonical_calibration()
    assert "egostream mount" in missing_mount(RunConfig(head="tcp://127.0.0.1:5572"), camera)
    assert missing_mount(RunConfig(), camera) == ""


def test_where_nobody_tells_the_head_the_room_is_a_guess():
    """Also in a run that takes no head poses. A body that stands is upright, its hips above the origin."""
    seen = seen_from(np.array(T_HEAD_CAMERA))
    for room in (Guess(), room_of()):
        placed = room.place(time.monotonic_ns(), seen)
        joints = np.array(placed.joints_world)
        assert placed.world == "guess" and not isinstance(placed.head, PlacedHead)
        assert joints[0, 1] > 1.3 and -0.001 < joints[:, 1].min() < 0.03
        assert np.allclose(joints[HIPS, ::2].mean(0), 0)
        distances = lambda points: np.linalg.norm(points[:, None] - points, axis=-1)
        assert np.allclose(distances(joints), distances(STANDING))


def test_a_guess_goes_on_where_the_headset_left_the_wearer():
    """A frame without its head pose does not throw the wearer to the origin, nor turn them round."""
    room, now = room_of(), time.monotonic_ns()
    turned = Rotation.from_euler("Y", 2.0)
    told(room, now, position=(3.0, 1.65, -2.0), orientation=tuple(turned.as_quat()))
    seen = seen_from(np.array(T_HEAD_CAMERA))
    by_headset = room.place(now, seen)
    guessed = room.place(now + 300_000_000, seen)
    assert (by_headset.world, guessed.world) == ("headset", "guess")
    # What is left is that of the guess of up, some degrees about the standing foot.
    assert np.abs(np.array(guessed.joints_world) - by_headset.joints_world).max() < 0.15
    again = room.place(now + 310_000_000, seen)
    assert np.abs(np.array(again.joints_world) - guessed.joints_world).max() < 0.01


def test_states_are_counted_and_said_once():
    room, now = room_of(), time.monotonic_ns()
    nothing = room.place(now, STANDING)
    assert nothing.world == "guess"
    told(room, now - 300_000_000, position=(0.0, 1.65, 0.0), orientation=(0.0, 0.0, 0.0, 1.0))
    for _ in range(3):
        room.place(now, STANDING)  # the pose is of long before the frame, though it came just now
    told(room, now, position=(0.0, 1.65, 0.0), orientation=(0.0, 0.0, 0.0, 1.0))
    room.place(now, STANDING)
    room.head.received_ns -= 600_000_000
    room.place(now + 10**9, STANDING)
    assert room.status().poses_without == {"none": 1, "late": 3, "ended": 1}
    assert [line.split(": ")[1].split(";")[0] for line in room.said] == [
        "head poses come later than the poses of their frames",
        "head poses come",
        "head poses ended",
    ]


def test_gravity_alone_makes_a_level_room():
    room, now = room_of(), time.monotonic_ns()
    tilt = Rotation.from_euler("xz", [-0.6, 0.2])  # head axes -> level axes
    told(room, now, gravity=tuple(tilt.inv().apply([0, -9.81, 0])))
    joints_head = tilt.inv().apply(STANDING)
    placed = room.place(now, seen_from(np.array(T_HEAD_CAMERA), joints_head))
    joints = np.array(placed.joints_world)
    assert placed.world == "imu" and np.allclose(placed.head.gravity, tilt.inv().apply([0, -1, 0]))
    hips = STANDING[HIPS, :].mean(0)
    assert np.allclose(joints - joints[0], STANDING - STANDING[0])  # level, and facing -z
    assert np.allclose(joints[HIPS, ::2].mean(0), 0) and np.allclose(joints[0, ::2], (STANDING[0] - hips)[::2])
    soles = joints[[JOINTS.index("left_ankle"), JOINTS.index("left_foot")], 1]
    assert -0.001 < soles.min() < 0.03  # the toes, or a sole under a heel that is lower
    assert room.place(now + 200_000_000, STANDING).world == "guess"  # that gravity is too old


@pytest.mark.parametrize("rotate", [0, 90])
def test_a_turned_picture_keeps_the_mount(rotate):
    """T_head_camera is of the joints' axes, which a turn of the picture does not move."""
    camera = canonical_calibration()
    camera = type(camera)(camera.name, camera.size, camera.lens, T_head_camera=T_HEAD_CAMERA)
    assert delivered_calibration(camera, Mount(rotate)).T_head_camera == T_HEAD_CAMERA


def test_what_is_published_has_the_room_last():
    from egostream.publish.message import TAKEN_FIELDS

    assert not {"joints_world", "head", "world"} & set(TAKEN_FIELDS) and not hasattr(Pose, "world")
