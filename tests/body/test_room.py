"""The guessed room: up from the body, floor under the lower foot, a standing foot that stays."""

from __future__ import annotations

import numpy as np
import pytest
from made_bodies import SITTING, STANDING, X, joints_of, posed, turn
from scipy.spatial.transform import Rotation

from egostream.body.room import ANKLES, GUESS, TOES, GuessedRoom
from egostream.body.solve import BodySolver

STEP_NS = 33_333_333
#: A camera that looks down at the body, and sits on a head that is turned aside.
CAMERA = Rotation.from_euler("yxz", [30, -70, 10], degrees=True).as_matrix()


def placed(*frames, camera=CAMERA, room=None):
    solver, room = BodySolver(), room or GuessedRoom()
    seen = [joints @ camera.T for joints in frames]
    return [room(solver(n * STEP_NS, joints), joints, solver.body) for n, joints in enumerate(seen)], solver.body


@pytest.mark.parametrize(("local", "degrees"), [(STANDING, 2), (SITTING, 25)], ids=["standing", "sitting"])
def test_a_body_is_upright_however_the_camera_looks(local, degrees):
    (there,), _ = placed(joints_of(posed(**local)))
    torso = there.joints[[7, 11]].mean(0) - there.joints[0]
    assert np.degrees(np.arccos(torso[1] / np.linalg.norm(torso))) < degrees
    right = there.joints[7] - there.joints[11]
    assert right[0] > 0.15 and abs(right[2]) < 0.05  # the hips look ahead
    assert there.world == GUESS


def test_the_lower_foot_stands_on_the_floor_and_the_pose_goes_with_the_joints():
    raised = STANDING | {"LeftUpperLeg": turn(X, 40), "LeftLowerLeg": turn(X, -60)}
    (there,), body = placed(joints_of(posed(**raised)))
    assert there.joints[:, 1].max() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(body.joints(there.pose), there.joints, atol=1e-3)
    lens = -there.camera @ Rotation.from_quat(there.turn).as_matrix()  # of the joints in the camera's axes
    np.testing.assert_allclose(np.linalg.norm(lens), np.linalg.norm(there.camera))


def test_a_standing_foot_does_not_slide_and_the_body_gets_on():
    """A walk: legs swing against each other, the feet in turn low. Steps add up; the foot that stands stays."""

    def stride(phase):
        swing = 25 * np.sin(phase)
        lifted = 25 * max(np.cos(phase), 0), 25 * max(-np.cos(phase), 0)
        legs = {
            "LeftUpperLeg": turn(X, swing + lifted[0]), "RightUpperLeg": turn(X, -swing + lifted[1]),
            "LeftLowerLeg": turn(X, -2 * lifted[0]), "RightLowerLeg": turn(X, -2 * lifted[1]),
            "LeftFoot": turn(X, lifted[0] - swing), "RightFoot": turn(X, lifted[1] + swing),
        }  # fmt: skip
        return joints_of(posed(**STANDING | legs))

    frames = [stride(phase) for phase in np.linspace(0, 6 * np.pi, 180)]
    room = GuessedRoom()
    solver, slid, before = BodySolver(), 0.0, None
    for n, joints in enumerate(frames):
        there = room(solver(n * STEP_NS, joints), joints, solver.body)
        if before is not None and room.stance == before[1]:
            foot = ANKLES[room.stance]
            slid = max(slid, np.linalg.norm((there.joints - before[0].joints)[foot][[0, 2]]))
        before = there, room.stance
    assert slid < 1e-6
    assert abs(there.pose.hips[2]) > 0.8
    stays, _ = placed(*frames, camera=np.eye(3), room=GuessedRoom(walks=False))
    np.testing.assert_allclose([one.pose.hips[[0, 2]] for one in stays], 0, atol=1e-6)


def test_a_head_that_nods_moves_nothing_but_the_head():
    """The camera turns with the head by 40 degrees: in the room, the body stays."""
    standing = joints_of(posed(**STANDING))
    solver, room = BodySolver(), GuessedRoom()
    for n in range(60):
        nod = Rotation.from_euler("yx", [20 * np.sin(n / 5), 40 * np.sin(n / 7)], degrees=True).as_matrix() @ CAMERA
        joints = standing @ nod.T
        there = room(solver(n * STEP_NS, joints), joints, solver.body)
        if n == 0:
            first = there
        np.testing.assert_allclose(there.joints, first.joints, atol=1e-6)
    assert (there.joints[TOES][:, 1] > -0.05).all()


@pytest.mark.parametrize("degrees", [-60, -30, 0, 25])
def test_a_raised_foot_stands_on_its_heel_or_its_toes(degrees):
    """Both feet turned at the ankle, toes up by 25 degrees or down by up to 60: the lowest part of the sole is at 0."""
    feet = {f"{side}Foot": turn(X, degrees) for side in ("Left", "Right")}
    (there,), body = placed(joints_of(posed(**STANDING | feet)), camera=np.eye(3))
    length = np.linalg.norm(body.toes[0])
    toe = body.toes[0]
    heel = np.array([0, toe[1], -0.35 * length])  # below the ankle as far as the toe joint, and behind it
    foot = Rotation.from_quat(there.pose.rotation("LeftFoot"))
    ankle = there.joints[ANKLES[0]]
    lowest = max((ankle + foot.apply(end))[1] for end in (toe, heel))
    assert lowest == pytest.approx(0, abs=0.005)
