"""Simulated people: their bones, their mirror images, and what a headset tells of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egostream.told import TOLD, TOLD_PARTS
from tools.synthetic.movement.activities import random_activity
from tools.synthetic.movement.movement import joint_positions
from tools.synthetic.people.body import JOINT_SEGMENTS, SEGMENT
from tools.synthetic.people.capsules import Capsules
from tools.training.motion.bank import Movements, Skeletons, bone_offsets, make_movements, make_skeletons
from tools.training.motion.simulate import OTHER_SIDE, Simulator, forward, headset_tells, mirrored


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    """A small bank of invented movement."""
    return Simulator(make_movements([], 0.0, 4, 0), make_skeletons(Capsules(), 2, 0))


def test_bones_give_the_joints_that_the_renderer_gives():
    rng = np.random.default_rng(3)
    body, movement = Capsules().sample(rng), random_activity(rng, 1.0, 30)
    root = movement.root * (body.hip_height / movement.hip_height)
    rendered = body.joints(body.pose(root, movement.rotations, movement.grip)[1])
    joints = joint_positions(replace(movement, root=root), bone_offsets(body))
    np.testing.assert_allclose(joints[:, [SEGMENT[name] for name in JOINT_SEGMENTS]], rendered, atol=1e-9)
    mine = forward(
        movement.rotations[None].astype("f4"), root[None].astype("f4"), bone_offsets(body)[None].astype("f4")
    )
    np.testing.assert_allclose(mine[0], joints, atol=1e-5)


def test_a_larger_person_is_the_same_one_larger(simulator):
    turns, root = simulator.movements.turns[:1, :9], simulator.movements.root[:1, :9]
    offsets = simulator.skeletons.offsets[:1]
    np.testing.assert_allclose(
        forward(turns, 1.2 * root, 1.2 * offsets), 1.2 * forward(turns, root, offsets), atol=1e-5
    )


def test_sequences_are_as_the_camera_sees_them(simulator):
    true = simulator(np.random.default_rng(0), 8, 12)
    again = simulator(np.random.default_rng(0), 8, 12)
    np.testing.assert_array_equal(true.joints, again.joints)  # the generator decides all
    pixels, seen = simulator.lens.project(true.joints)
    np.testing.assert_allclose(true.keypoints[seen], pixels[seen], atol=1e-2)
    assert true.told.shape == (8, 12, TOLD) and true.valid[:, -1].all()
    bones = np.linalg.norm(true.joints[:, :, 9] - true.joints[:, :, 8], axis=-1)
    assert np.ptp(bones, axis=1).max() < 5e-3  # a shin keeps its length
    np.testing.assert_allclose(np.linalg.norm(true.told[..., TOLD_PARTS["gravity"]], axis=-1), 1, atol=0.02)


def test_a_mirror_image_is_that_of_a_mirrored_camera():
    """What a headset tells of a reflected world is the reflected tale; twice reflected is as before."""
    rng = np.random.default_rng(1)
    turn = Rotation.random(6, random_state=1).as_matrix()[None]
    turn = np.stack(
        [turn[0, 0] @ Rotation.from_rotvec(k * np.array([0.02, 0.03, -0.01])).as_matrix() for k in range(6)]
    )
    at, times = rng.normal(0, 0.1, (1, 6, 3)) + [0, 1.5, 0], np.arange(6)[None] / 15
    mirror = np.diag([-1.0, 1, 1])
    told = headset_tells(turn[None], at, times, np.array([1.7]))
    reflected = headset_tells((mirror @ turn @ mirror)[None], at @ mirror, times, np.array([1.7]))
    joints = rng.normal(size=(1, 6, 15, 3)).astype(np.float32)
    other, seen = mirrored(joints, told)
    np.testing.assert_allclose(seen, reflected, atol=1e-5)
    np.testing.assert_array_equal(other[..., OTHER_SIDE, :] * [-1, 1, 1], joints)
    np.testing.assert_array_equal(mirrored(other, seen)[1], told)


def test_a_headset_tells_how_it_moves():
    """A camera that looks straight ahead, walks ahead at 1 m/s and turns to the side at half a radian a second."""
    times = np.arange(4) / 15
    ahead = np.stack([Rotation.from_rotvec([0, 0.5 * t, 0]).inv().as_matrix() for t in times])
    turn = ahead @ np.diag([1.0, -1, -1])[None]  # world: y up, camera: y down
    told = headset_tells(turn[None], np.array([[[0, 1.6, -t] for t in times]]), times[None], np.array([1.8]))[0]
    np.testing.assert_allclose(told[:, TOLD_PARTS["gravity"]], [[0, 1, 0]] * 4, atol=1e-6)
    np.testing.assert_allclose(told[1:, TOLD_PARTS["rate"]], [[0, 0.5, 0]] * 3, atol=1e-3)
    assert told[1, TOLD_PARTS["velocity"]][2] == pytest.approx(1, abs=0.01)
    assert told[0, TOLD_PARTS["height"]] == pytest.approx(1.6) and told[0, TOLD_PARTS["stature"]] == pytest.approx(1.8)


def test_a_bank_is_of_hips_at_height_one():
    movements, skeletons = make_movements([], 0.0, 2, 5), make_skeletons(Capsules(), 3, 5)
    assert isinstance(movements, Movements) and 0.05 < movements.root[..., 1].mean() < 1.3
    assert isinstance(skeletons, Skeletons) and (skeletons.offsets[:, 0, 1] < 0.6 * skeletons.stature).all()
