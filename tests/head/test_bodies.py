"""Solved bodies in a guessed room: what is shown stands on the floor, and keeps its place there."""

from __future__ import annotations

import numpy as np
import pytest
from made_bodies import STANDING, X, joints_of, posed, turn
from scipy.spatial.transform import Rotation

from egostream.body.solve import BodySolver
from egostream.head.bodies import GuessedRoom
from egostream.head.ground import ANKLES, HIPS

CAMERA = Rotation.from_euler("yxz", [30, -70, 10], degrees=True).as_matrix()
STEP_NS = 33_333_333


def placed(joints, room=None, camera=CAMERA, n=0, solver=None):
    solver, seen = solver or BodySolver(), joints @ camera.T
    return (room or GuessedRoom())(solver(n * STEP_NS, seen), seen, solver.body), solver.body


def test_the_pose_goes_with_the_joints():
    raised = STANDING | {"LeftUpperLeg": turn(X, 40), "LeftLowerLeg": turn(X, -60)}
    there, body = placed(joints_of(posed(**raised)))
    assert there.joints[:, 1].max() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(body.joints(there.pose), there.joints, atol=1e-3)


@pytest.mark.parametrize("degrees", [-60, -30, 0, 25])
def test_a_raised_foot_stands_on_its_heel_or_its_toes(degrees):
    """Both feet turned at the ankle, toes up by 25 degrees or down by up to 60: the lowest part of the sole is at 0."""
    feet = {f"{side}Foot": turn(X, degrees) for side in ("Left", "Right")}
    there, body = placed(joints_of(posed(**STANDING | feet)), camera=np.eye(3))
    toe = body.toes[0]
    heel = np.array([0, toe[1], -0.35 * np.linalg.norm(toe)])  # below the ankle as far as the toe joint, and behind it
    foot = Rotation.from_quat(there.pose.rotation("LeftFoot"))
    lowest = max((there.joints[ANKLES[0]] + foot.apply(end))[1] for end in (toe, heel))
    assert lowest == pytest.approx(0, abs=0.005)


def test_in_place_the_hips_stay_above_the_origin():
    room, solver = GuessedRoom(walks=False), BodySolver()
    for n in range(20):
        legs = {"LeftUpperLeg": turn(X, 25 * np.sin(n / 3)), "RightUpperLeg": turn(X, -25 * np.sin(n / 3))}
        there, _ = placed(joints_of(posed(**STANDING | legs)), room, n=n, solver=solver)
        np.testing.assert_allclose(there.joints[HIPS, ::2].mean(0), 0, atol=1e-6)
