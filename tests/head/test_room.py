"""Poses in the room: against homogeneous matrices of SciPy's rotations, and by gravity alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from standing_wearer import STANDING, seen_from

from egostream.calibration.file import canonical_calibration
from egostream.calibration.mount import Mount, delivered_calibration
from egostream.calibration.transform import rigid
from egostream.config import RunConfig
from egostream.head.level import FEET, LEFT_HIP, RIGHT_HIP, placed_on_the_floor
from egostream.head.receiver import StreamHead
from egostream.head.room import Room, missing_mount
from egostream.publish.message import HeadMessage, PlacedHead, clock_offset_ns
from egostream.types import Pose

LOOKS_DOWN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # camera's x, y, z: the head's right, backward, down
T_HEAD_CAMERA = rigid(Rotation.from_rotvec([0.3, 0.1, -0.2]).as_matrix() @ LOOKS_DOWN, np.array([0.01, 0.05, -0.1]))


class Sockets:
    """Where messages would come from."""

    def poll(self) -> None:
        pass


def room_of(mount=T_HEAD_CAMERA) -> Room:
    camera = canonical_calibration()
    camera = type(camera)(camera.name, camera.size, camera.lens, T_head_camera=mount)
    said = []
    room = Room(Sockets(), StreamHead("0", said.append), camera, said.append)
    room.said = said
    return room


def told(room: Room, t_ns: int, **values) -> None:
    room.head.take(HeadMessage(stream="0", t_ns=t_ns, clock_offset_ns=clock_offset_ns(), **values), time.monotonic_ns())


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


def test_without_a_mount_there_is_the_head_alone():
    room, now = room_of(None), time.monotonic_ns()
    told(room, now, position=(0.0, 1.65, 0.0), orientation=(0.0, 0.0, 0.0, 1.0))
    placed = room.place(now, STANDING)
    assert isinstance(placed.head, PlacedHead) and isinstance(placed.joints_world, type(placed.world))
    camera = canonical_calibration()
    assert "egostream mount" in missing_mount(RunConfig(head="tcp://127.0.0.1:5572"), camera)
    assert missing_mount(RunConfig(), camera) == ""


def test_states_are_counted_and_said_once():
    room, now = room_of(), time.monotonic_ns()
    nothing = room.place(now, STANDING)
    assert nothing.head is nothing.world  # unset
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
    hips = (STANDING[RIGHT_HIP] + STANDING[LEFT_HIP]) / 2
    assert np.allclose(joints, STANDING - [hips[0], STANDING[FEET, 1].min(), hips[2]])
    assert room.place(now + 200_000_000, STANDING).world is not placed.world  # that gravity is too old


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_the_level_room_does_not_depend_on_the_head(seed, yaw):
    """Any turn of the head gives the same room: hips face -z above the origin, the lowest foot on the floor."""
    rng = np.random.default_rng(seed)
    body, turn = rng.normal(0, 1, (15, 3)), Rotation.random(random_state=rng) * Rotation.from_euler("y", yaw)
    first = placed_on_the_floor(body, np.array([0.0, 1.0, 0.0]))
    again = placed_on_the_floor(turn.apply(body), turn.apply([0.0, 1.0, 0.0]))
    across = body[RIGHT_HIP] - body[LEFT_HIP]
    if abs(across[1]) < 0.9 * np.linalg.norm(across):
        assert np.allclose(first, again, atol=1e-9)
        assert (first[RIGHT_HIP] - first[LEFT_HIP])[0] > 0 and np.isclose(first[RIGHT_HIP, 2], first[LEFT_HIP, 2])
    assert np.isclose(again[FEET, 1].min(), 0) and np.allclose(again[RIGHT_HIP, ::2], -again[LEFT_HIP, ::2])
    assert np.isfinite(again).all()
    distances = lambda joints: np.linalg.norm(joints[:, None] - joints, axis=-1)
    assert np.allclose(distances(body), distances(again))


def test_hips_one_above_the_other_leave_it_to_the_head():
    """Lying on a side."""
    body = STANDING.copy()
    body[RIGHT_HIP], body[LEFT_HIP] = [0, 0.1, 0], [0, -0.1, 0]
    assert np.isfinite(placed_on_the_floor(body, np.array([0.0, 1.0, 0.0]))).all()
    assert np.isfinite(placed_on_the_floor(body * 0, np.array([1.0, 0.0, 0.0]))).all()


@pytest.mark.parametrize("rotate", [0, 90])
def test_a_turned_picture_keeps_the_mount(rotate):
    """T_head_camera is of the joints' axes, which a turn of the picture does not move."""
    camera = canonical_calibration()
    camera = type(camera)(camera.name, camera.size, camera.lens, T_head_camera=T_HEAD_CAMERA)
    assert delivered_calibration(camera, Mount(rotate)).T_head_camera == T_HEAD_CAMERA


def test_what_is_published_has_the_room_last():
    from egostream.publish.message import TAKEN_FIELDS

    assert not {"joints_world", "head", "world"} & set(TAKEN_FIELDS) and not hasattr(Pose, "world")
