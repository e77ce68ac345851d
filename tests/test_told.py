"""What a network is told beside the picture: its layout, and a camera's motion against SciPy's rotations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egostream.errors import EgostreamError
from egostream.publish.message import POSE_TOPIC, PoseMessage, pack, pose_message, unpack
from egostream.skeleton import JOINT_COUNT
from egostream.told import NOTHING, TOLD, TOLD_FLAG, TOLD_PARTS, Told, velocity_and_rate
from egostream.types import Pose


def test_what_is_not_known_is_zero_and_its_flag_says_so():
    assert not NOTHING.vector().any() and NOTHING.is_empty and len(TOLD_FLAG) == TOLD
    told = Told(gravity=(0.0, 1.0, 0.0), height=1.6)
    row = told.vector()
    assert row[TOLD_PARTS["gravity"]].tolist() == [0, 1, 0] and row[TOLD_PARTS["height"]] == np.float32(1.6)
    assert row[TOLD_PARTS["flags"]].tolist() == [1, 0, 1, 0] and not told.is_empty
    moving = Told(velocity=(1.0, 2.0, 3.0), rate=(4.0, 5.0, 6.0), stature=1.7).vector()
    assert moving[TOLD_PARTS["velocity"]].tolist() + moving[TOLD_PARTS["rate"]].tolist() == [1, 2, 3, 4, 5, 6]
    assert moving[TOLD_PARTS["flags"]].tolist() == [0, 1, 0, 1]


def test_a_cameras_motion_is_that_of_rigid_bodies():
    """A camera that turns by a rotation vector in its own axes, against SciPy; and its way, seen in its axes."""
    before = Rotation.random(5, random_state=0)  # camera -> world
    vectors = np.random.default_rng(0).normal(0, 0.05, (5, 3))
    after = before * Rotation.from_rotvec(vectors)
    way = np.random.default_rng(1).normal(0, 0.1, (5, 3))
    turns = (rotation.inv().as_matrix() for rotation in (before, after))
    turn_before, turn = turns
    velocity, rate = velocity_and_rate(turn_before, np.zeros((5, 3)), turn, way, 0.1)
    np.testing.assert_allclose(velocity, after.inv().apply(way) / 0.1, atol=1e-9)
    angles = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(rate, vectors / 0.1 * np.sinc(angles / np.pi), atol=1e-9)


def message(told: Told | None) -> PoseMessage:
    nothing = np.zeros((JOINT_COUNT, 3))
    return pose_message("a", Pose(0, 0, nothing, nothing[:, :2], nothing[:, 0], told=told), "w", 0)


def test_messages_carry_what_was_told_and_nothing_else():
    told = Told(gravity=(0.1, 0.2, 0.3), stature=1.71)
    received = unpack(pack(POSE_TOPIC, message(told)))
    assert received.told == told and np.array_equal(received.told.vector(), told.vector())
    assert b"told" not in pack(POSE_TOPIC, message(None)) and b"velocity" not in pack(POSE_TOPIC, message(told))
    with pytest.raises(EgostreamError, match="told is not finite"):
        unpack(pack(POSE_TOPIC, message(Told(height=float("nan")))))
