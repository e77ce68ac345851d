"""The body solver: bones lie along the joints, whoever looks from wherever; nothing flips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bodies import POSES, STANDING, Y, Z, joints_of, posed, swapped, turn
from scipy.spatial.transform import Rotation

from egostream.body.bones import BONES, INDEX, MIRRORED
from egostream.body.hinges import FASTEST
from egostream.body.measure import MEASURE_NS, USUAL_BODY
from egostream.body.quaternions import rotate
from egostream.body.solve import BodySolver
from egostream.skeleton import JOINT_COUNT, JOINTS

STEP_NS = 33_333_333
MM = 1e-3
REST_JOINTS = joints_of(posed())
coordinates = st.floats(-1, 1).map(lambda v: round(v, 6))
joint_sets = st.lists(coordinates, min_size=45, max_size=45).map(lambda v: np.array(v).reshape(15, 3))
turns = st.tuples(*[coordinates] * 4).filter(lambda q: np.linalg.norm(q) > 0.1).map(lambda q: Rotation.from_quat(q))
quick = settings(max_examples=40, deadline=None)


def solve(*frames, confidence=None, **options):
    """The poses of frames of joints, 30 a second, and the solver."""
    solver = BodySolver(**options)
    confidence = np.ones(JOINT_COUNT) if confidence is None else confidence
    return [solver(n * STEP_NS, joints, confidence) for n, joints in enumerate(frames)], solver


def angles_deg(a, b):
    return np.degrees(2 * np.arccos(np.clip(np.abs((a * b).sum(-1)), 0, 1)))


def test_joints_of_a_body_come_back(subtests):
    """Whatever body it is: longer and shorter on one side, with sloping shoulders."""
    rng = np.random.default_rng(5)
    offsets = USUAL_BODY.offsets * rng.uniform(0.8, 1.2, (len(BONES), 1))
    for bone, by in (("Spine", 1), ("Chest", 1), ("Neck", 1)):
        offsets[INDEX[bone]] = USUAL_BODY.offsets[INDEX[bone]] * by
    offsets[[INDEX["LeftShoulder"], INDEX["RightShoulder"]]] = offsets[INDEX["Neck"]]
    offsets[INDEX["LeftUpperLeg"]] = -offsets[INDEX["RightUpperLeg"]]
    offsets[INDEX["LeftUpperArm"]] += [0, 0.05, 0.02]
    body = type(USUAL_BODY)(offsets, USUAL_BODY.toes * [[1.1], [0.9]], USUAL_BODY.crown, USUAL_BODY.fingers)
    for name, local in POSES.items():
        with subtests.test(name):
            truth = joints_of(posed(**local), body)
            (pose,), solver = solve(truth)
            np.testing.assert_allclose(solver.body.joints(pose), truth, atol=MM)


@pytest.mark.parametrize("name", POSES)
def test_rotations_of_a_pose_come_back(name):
    """From joints alone, of a body whose limbs are bent as elbows and knees bend, or straight."""
    pose = posed(**POSES[name])
    (solved,), _ = solve(joints_of(pose), mount=pose.rotation("Head"))
    for bone in ("Hips", "Chest", "LeftShoulder", "RightShoulder"):
        assert angles_deg(solved.rotation(bone), pose.rotation(bone)) < 0.1
    for limb, degrees in (("UpperArm", 100), ("LowerArm", 100), ("UpperLeg", 40), ("LowerLeg", 40), ("Foot", 60)):
        for side in ("Left", "Right"):  # a straight arm's turn about itself is not to be seen
            assert angles_deg(solved.rotation(side + limb), pose.rotation(side + limb)) < degrees


def test_a_bent_limb_turns_as_its_hinge_says():
    """The hinge of an elbow that is bent by 60 degrees, however the upper arm turns about itself."""
    for degrees in range(-80, 90, 20):
        local = STANDING | {
            "LeftUpperArm": multiply_all(turn(Z, -60), turn([-1, 0, 0], degrees)), "LeftLowerArm": turn(Y, 60)
        }  # fmt: skip
        pose = posed(**local)
        (solved,), _ = solve(joints_of(pose))
        assert angles_deg(solved.rotation("LeftUpperArm"), pose.rotation("LeftUpperArm")) < 1


def multiply_all(*rotations):
    return np.array((Rotation.from_quat(rotations[0]) * Rotation.from_quat(rotations[1])).as_quat())


@given(joint_sets, turns)
@quick
def test_a_rotated_body_gives_rotated_bones(joints, rotation):
    (here,), _ = solve(joints)
    (there,), _ = solve(joints @ rotation.as_matrix().T)
    skip = [INDEX["Head"], INDEX["Neck"]]  # fixed to the camera
    expected = (rotation * Rotation.from_quat(here.rotations)).as_quat()
    apart = np.delete(angles_deg(there.rotations, expected), skip)
    if clear(joints):
        assert apart.max() < 0.1
    np.testing.assert_allclose(there.hips, rotation.apply(here.hips), atol=1e-9)


@given(joint_sets)
@quick
def test_a_mirrored_body_gives_the_mirrored_pose(joints):
    (here,), _ = solve(joints)
    (there,), _ = solve(swapped(joints))
    mirrored = here.rotations[MIRRORED] * [1, -1, -1, 1]
    if clear(joints):
        assert angles_deg(there.rotations, mirrored).max() < 0.1


def clear(joints):
    """Whether all of the body's directions are told: no joints on each other, none opposite to where it can be."""
    torso = joints[[7, 11]].mean(0) - joints[0]
    lines = joints[[7, 1]] - joints[[11, 4]]
    bones = joints[1:] - joints[[0, 1, 2, 0, 4, 5, 1, 7, 8, 9, 4, 11, 12, 13]]
    if min(np.linalg.norm(bones, axis=1).min(), np.linalg.norm(torso), np.linalg.norm(lines, axis=1).min()) < 0.05:
        return False
    sines = np.linalg.norm(np.cross(lines, torso), axis=1) / np.linalg.norm(lines, axis=1) / np.linalg.norm(torso)
    return sines.min() > 0.4 and folds(joints) > -0.7


def folds(joints):
    """Least cosine between bones that follow each other."""
    chains = ((0, 1, 2), (1, 2, 3), (0, 4, 5), (4, 5, 6), (7, 8, 9), (8, 9, 10), (11, 12, 13), (12, 13, 14))
    cosines = []
    for a, b, c in chains:
        first, second = joints[b] - joints[a], joints[c] - joints[b]
        cosines.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    return min(cosines)


@given(st.lists(st.one_of(joint_sets, st.just(np.zeros((15, 3))), st.just(REST_JOINTS)), min_size=1, max_size=4))
@quick
def test_every_joint_set_gives_unit_rotations(frames):
    """Joints on each other, in a line, anywhere."""
    poses, solver = solve(*frames)
    rotations = np.array([pose.rotations for pose in poses])
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1, atol=1e-9)
    assert np.isfinite(solver.body.joints(poses[-1])).all()
    assert ((rotations[1:] * rotations[:-1]).sum(-1) >= 0).all()  # continuous in sign


@given(joint_sets)
@quick
def test_limbs_lie_along_any_joints(joints):
    """Exactly, of joints that form no body too: what is published is what is shown."""
    (pose,), _ = solve(joints)
    for side in ("left", "right"):
        arm, leg = (-1.0 if side == "left" else 1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
        for bone, rest, start, end in (
            ("UpperArm", arm, "shoulder", "elbow"),
            ("LowerArm", arm, "elbow", "wrist"),
            ("UpperLeg", leg, "hip", "knee"),
            ("LowerLeg", leg, "knee", "ankle"),
        ):
            wanted = joints[JOINTS.index(f"{side}_{end}")] - joints[JOINTS.index(f"{side}_{start}")]
            if np.linalg.norm(wanted) < 0.01:
                continue
            got = rotate(pose.rotation(side.title() + bone), np.array(rest))
            assert got @ wanted / np.linalg.norm(wanted) > np.cos(np.radians(0.1))


def noisy(local_of, count=120, noise=0.01, seed=1):
    """Frames of a pose that changes with time 0..1, with noise in metres."""
    rng = np.random.default_rng(seed)
    return [joints_of(posed(**local_of(t))) + rng.normal(0, noise, (15, 3)) for t in np.linspace(0, 1, count)]


def upper_arm_and_thigh_steps(poses):
    rotations = np.array([pose.rotations for pose in poses])
    bones = [INDEX[side + bone] for side in ("Left", "Right") for bone in ("UpperArm", "UpperLeg")]
    return angles_deg(rotations[1:], rotations[:-1])[:, bones]


def test_straight_limbs_do_not_flip_in_noise():
    """The hinge of a straight limb is noise: a solver that believed it would turn limbs by 180 degrees."""
    poses, _ = solve(*noisy(lambda t: {}, noise=0.005))
    assert upper_arm_and_thigh_steps(poses).max() < 12  # the line of the hips itself turns by some degrees


def test_an_arm_that_straightens_and_bends_again_keeps_its_hinge():
    def local(t):
        return STANDING | {"LeftLowerArm": turn(Y, 80 * abs(2 * t - 1)), "RightLowerArm": turn(Y, -80 * abs(2 * t - 1))}

    poses, _ = solve(*noisy(local, noise=0.004))
    assert upper_arm_and_thigh_steps(poses).max() < np.degrees(FASTEST * STEP_NS / 1e9) + 5
    bent = posed(**local(1.0))
    for side in ("Left", "Right"):
        assert angles_deg(poses[-1].rotation(f"{side}UpperArm"), bent.rotation(f"{side}UpperArm")) < 10


def test_a_straight_arm_that_circles_comes_back_as_it_was():
    def local(t):
        raised = multiply_all(turn([np.cos(2 * np.pi * t), 0, np.sin(2 * np.pi * t)], 40), turn(Z, -80))
        return {"LeftUpperArm": raised}

    poses, _ = solve(*[frame for _ in range(4) for frame in noisy(local, 40, 0.0)])
    assert angles_deg(poses[0].rotation("LeftUpperArm"), poses[-1].rotation("LeftUpperArm")) < 15


def test_unseen_knees_bend_one_way_only_and_seen_ones_are_left_alone():
    wrong = posed(**{"RightLowerLeg": turn([1, 0, 0], 30)})  # a knee bent forward
    joints = joints_of(wrong)
    for confidence, is_kept in ((1.0, False), (0.0, True)):
        (pose,), _ = solve(joints, confidence=np.full(JOINT_COUNT, confidence))
        shin = rotate(pose.rotation("RightLowerLeg"), np.array([0, 1.0, 0]))
        thigh = rotate(pose.rotation("RightUpperLeg"), np.array([0, 1.0, 0]))
        assert angle_between(shin, thigh) == pytest.approx(0 if is_kept else 30, abs=0.1)


def angle_between(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def test_joints_that_are_no_numbers_leave_the_bones_as_they_were():
    broken = REST_JOINTS.copy()
    broken[3] = np.nan
    poses, _ = solve(broken, joints_of(posed(**STANDING)), broken)
    np.testing.assert_array_equal(poses[0].rotations, np.tile([0, 0, 0, 1.0], (len(BONES), 1)))
    np.testing.assert_array_equal(poses[2].rotations, poses[1].rotations)


def test_lengths_are_medians_of_what_is_seen_and_constant_afterwards():
    truth = joints_of(posed(**STANDING))
    wrist = JOINTS.index("left_wrist")
    rng = np.random.default_rng(0)
    solver = BodySolver()
    confidence = np.ones(JOINT_COUNT)
    for n in range(100):
        joints = truth + rng.normal(0, 0.002, truth.shape)
        confidence[wrist] = 1.0
        if n % 3:
            joints[wrist] += 0.2  # where it is not seen it is somewhere
            confidence[wrist] = 0.1
        solver(n * STEP_NS, joints, confidence)
    forearm = np.linalg.norm(solver.body.offsets[INDEX["LeftHand"]])
    assert forearm == pytest.approx(np.linalg.norm(USUAL_BODY.offsets[INDEX["LeftHand"]]), abs=2 * MM)
    measured = solver.body
    solver(100 * STEP_NS, truth * 1.3, np.ones(JOINT_COUNT))
    assert solver.body is measured and 100 * STEP_NS > MEASURE_NS


def test_a_known_stature_scales_the_bones():
    _, plain = solve(REST_JOINTS)
    (pose, *_), tall = solve(REST_JOINTS, stature_m=2.0)
    assert tall.body.stature_m == pytest.approx(2.0)
    factor = 2.0 / plain.body.stature_m
    np.testing.assert_allclose(tall.body.offsets, plain.body.offsets * factor, atol=1e-9)
    np.testing.assert_allclose(tall.body.joints(pose), REST_JOINTS * factor, atol=MM)


def test_the_head_is_level_on_average_and_fixed_in_the_camera():
    """A camera that looks down at the body by 60 degrees, and turns with the head."""
    camera = Rotation.from_euler("x", -60, degrees=True)
    standing = joints_of(posed(**STANDING))
    poses, solver = solve(*[standing @ camera.as_matrix().T] * 100)
    np.testing.assert_allclose(angles_deg(poses[-1].rotation("Head"), poses[-1].rotation("Chest")), 0, atol=0.1)
    turned = Rotation.from_euler("y", 40, degrees=True) * camera
    after = solver(101 * STEP_NS, standing @ turned.as_matrix().T, np.ones(JOINT_COUNT))
    np.testing.assert_allclose(after.rotation("Head"), poses[-1].rotation("Head"))
    assert angles_deg(after.rotation("Chest"), poses[-1].rotation("Chest")) > 30
