"""What head poses tell the network of a frame's camera, against SciPy's rigid motions."""

from __future__ import annotations

import time

import numpy as np
import pytest
from made_rooms import T_HEAD_CAMERA, room_of, told
from msgspec import UNSET
from scipy.spatial.transform import Rotation

from egostream.head.room import FLOOR_SPACES
from egostream.told import NOTHING

STEP_NS = 66_666_667
SPEED, TURN = np.array([0.4, 0.1, -0.8]), np.array([0.2, -0.5, 0.3])  # of the head: m/s in the room, rad/s in its axes
START = Rotation.from_euler("YXZ", [0.7, -0.5, 0.1])


def head_at(seconds: float) -> tuple[Rotation, np.ndarray]:
    return START * Rotation.from_rotvec(TURN * seconds), np.array([0.3, 1.6, -2.0]) + SPEED * seconds


def walk(room, t_ns: int, space: str) -> None:
    """A quarter of a second of head poses until ``t_ns``."""
    for k in range(-20, 1):
        rotation, position = head_at(k / 80)
        told(
            room,
            t_ns + round(k / 80 * 1e9),
            position=tuple(position),
            orientation=tuple(rotation.as_quat()),
            space=space,
        )


def camera_at(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Camera -> room rotation and the camera's place, by homogeneous matrices."""
    rotation, position = head_at(seconds)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation.as_matrix(), position
    T = T @ np.array(T_HEAD_CAMERA)
    return T[:3, :3], T[:3, 3]


@pytest.mark.parametrize("space", ["stage", "somewhere"])
def test_a_headset_tells_gravity_motion_and_the_height_over_a_floor_that_is_one(space):
    room, now = room_of(), time.monotonic_ns()
    walk(room, now, space)
    found, seconds = room.tells(now, STEP_NS), STEP_NS / 1e9
    (before, place_before), (turn, place) = camera_at(-seconds), camera_at(0)
    np.testing.assert_allclose(found.gravity, turn.T @ [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(found.velocity, turn.T @ (place - place_before) / seconds, atol=1e-3)
    expected = Rotation.from_matrix(before.T @ turn).as_rotvec() / seconds
    np.testing.assert_allclose(found.rate, expected, atol=2e-3)
    assert found.height == pytest.approx(place[1]) if space in FLOOR_SPACES else found.height is UNSET


def test_the_first_pose_tells_no_motion():
    room, now = room_of(), time.monotonic_ns()
    told(room, now, position=(0.0, 1.6, 0.0), orientation=(0.0, 0.0, 0.0, 1.0), space="stage")
    found = room.tells(now, STEP_NS)
    assert found.velocity is UNSET and found.rate is UNSET and found.gravity is not UNSET


def test_a_room_that_was_moved_tells_no_motion():
    room, now = room_of(), time.monotonic_ns()
    walk(room, now - STEP_NS, "before")
    told(room, now, position=tuple(head_at(0)[1]), orientation=tuple(head_at(0)[0].as_quat()), space="after")
    assert room.tells(now, STEP_NS).velocity is UNSET


def test_an_imu_tells_gravity_alone_and_nobody_tells_nothing():
    room, now = room_of(), time.monotonic_ns()
    assert room.tells(now, STEP_NS) == NOTHING
    told(room, now, gravity=(0.0, -9.81, 0.0))
    found = room.tells(now, STEP_NS)
    np.testing.assert_allclose(found.gravity, np.array(T_HEAD_CAMERA)[:3, :3].T @ [0, -1, 0], atol=1e-9)
    assert found.velocity is UNSET and found.height is UNSET


def test_without_a_mount_nothing_is_told():
    room, now = room_of(None), time.monotonic_ns()
    walk(room, now, "stage")
    assert room.tells(now, STEP_NS) == NOTHING
