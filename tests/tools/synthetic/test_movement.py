"""The stick body, and the algebra of movements."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from stick_figures import random_movement

from tools.synthetic.movement.activities import ACTIVITIES
from tools.synthetic.movement.movement import (
    Movement,
    Prop,
    crop,
    joint_positions,
    mirror,
    resample,
    retime,
    sole_points,
    turn,
    with_arms,
)
from tools.synthetic.movement.rotations import about, angle_between, heading
from tools.synthetic.movement.segments import ARMS, HIP_HEIGHT, MIRRORED, PARENTS, SEGMENTS


def test_t_pose_of_the_stick_body():
    movement = Movement(
        "t", 30, np.array([[0, HIP_HEIGHT, 0.0]]), HIP_HEIGHT, np.tile(np.eye(3), (1, 21, 1, 1)), np.zeros((1, 2))
    )
    joints = dict(zip(SEGMENTS, joint_positions(movement)[0]))
    assert joints["hand_l"][0] > joints["upperarm_l"][0] > 0 > joints["hand_r"][0]
    assert joints["toe_l"][2] > joints["foot_l"][2] and joints["foot_l"][0] > 0
    assert joints["head"][1] > joints["chest"][1] > joints["calf_l"][1] > joints["foot_l"][1] > 0
    assert np.allclose(sole_points(movement)[..., 1], 0)
    taller = joint_positions(Movement("t", 30, movement.root * 2, 2 * HIP_HEIGHT, movement.rotations, movement.grip))
    assert np.allclose(taller, 2 * joint_positions(movement))
    assert all(parent < k for k, parent in enumerate(PARENTS))


def test_resample_follows_constant_turns_exactly():
    movement = random_movement(np.random.default_rng(1))
    finer = resample(movement, 120.0)
    assert finer.fps == 120 and len(finer) == int(39 / 50 * 120) + 1
    spin = Rotation.from_matrix(movement.rotations[1, 3] @ movement.rotations[0, 3].T).as_rotvec() * 50
    expected = Rotation.from_rotvec(spin * 17 / 120).as_matrix() @ movement.rotations[0, 3]
    assert np.allclose(finer.rotations[17, 3], expected, atol=1e-9)
    assert np.allclose(finer.root[:, 0], np.arange(len(finer)) / 120)
    assert np.allclose(resample(movement, 25.0).rotations, movement.rotations[::2], atol=1e-9)


def test_retime_and_crop():
    movement = random_movement(np.random.default_rng(2), 41)
    assert np.allclose(retime(movement, 2.0).root, movement.root[::2])
    assert len(retime(movement, 0.5)) == 81 and retime(movement, 0.5).fps == movement.fps
    assert np.array_equal(crop(movement, 5, 9).rotations, movement.rotations[5:9])


def test_mirror_reflects_every_joint_and_prop():
    props = (
        Prop("table", (1, 0.1, 0.5), (0.3, 0.7, 0.5), yaw=0.2),
        Prop("cup", (0.1, 0.1, 0.1), hand="r", offset=(-0.1, 0, 0)),
    )
    movement = random_movement(np.random.default_rng(3), props=props)
    mirrored = mirror(movement)
    assert np.allclose(joint_positions(mirrored), joint_positions(movement)[:, MIRRORED] * [-1, 1, 1])
    assert np.allclose(np.linalg.det(mirrored.rotations), 1)
    assert np.array_equal(mirrored.grip, movement.grip[:, ::-1])
    table, cup = mirrored.props
    assert table.centre[0] == -0.3 and table.yaw == -0.2 and cup.hand == "l" and cup.offset[0] == 0.1
    again = mirror(mirrored)
    assert np.allclose(again.rotations, movement.rotations) and again.props[1].hand == "r"


def test_turn_turns_joints_and_props_together():
    movement = random_movement(np.random.default_rng(4), props=[Prop("seat", (0.4, 0.1, 0.4), (0.0, 0.4, 1.0))])
    turned = turn(movement, np.pi / 2)
    assert np.allclose(joint_positions(turned), joint_positions(movement) @ about("Y", np.pi / 2).T)
    assert np.allclose(turned.props[0].centre, (1, 0.4, 0), atol=1e-12)  # from ahead to the left
    facing = Movement("t", 30, movement.root, 0.9, np.tile(np.eye(3), (40, 21, 1, 1)), movement.grip)
    assert np.allclose(heading(turn(facing, 0.4).rotations[:, 0]), 0.4)


def test_with_arms_takes_the_arms_and_leaves_the_rest():
    rng = np.random.default_rng(5)
    walk, phone = ACTIVITIES["walk"](rng, 4, 50), ACTIVITIES["phone"](rng, 2, 25)
    worn = with_arms(walk, phone)
    others = [k for k in range(21) if k not in ARMS]
    assert np.array_equal(worn.root, walk.root) and np.allclose(worn.rotations[:, others], walk.rotations[:, others])
    assert [prop.kind for prop in worn.props] == ["phone"] and worn.fps == walk.fps and len(worn) == len(walk)
    to_chest = lambda movement, k: movement.rotations[k, 2].T @ movement.rotations[k]
    assert np.allclose(
        to_chest(worn, 40)[ARMS, ...], to_chest(phone, 20)[ARMS, ...]
    )  # the same moment at twice the rate
    assert (
        angle_between(worn.rotations[1:], worn.rotations[:-1]).max() * 50 < 25
    )  # also where the shorter one turns round
    unchanged = with_arms(walk, phone, np.zeros(len(walk)))
    assert np.allclose(unchanged.rotations, walk.rotations) and unchanged.props == ()
