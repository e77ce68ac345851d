"""A wearer on a floor: up as it is told or guessed, floor under the lower foot, a standing foot that stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bodies import SITTING, STANDING, X, Y, joints_of, posed, turn
from scipy.spatial.transform import Rotation

from egostream.head.ground import ANKLES, HIPS, TOES, Ground

STEP_NS = 33_333_333
#: A camera that looks down at the body, and sits on a head that is turned aside.
CAMERA = Rotation.from_euler("yxz", [30, -70, 10], degrees=True).as_matrix()
DOWN = np.array([0.0, 1.0, 0.0])


def stride(phase):
    """A walk: legs swing against each other, the feet in turn low."""
    swing = 25 * np.sin(phase)
    lifted = 25 * max(np.cos(phase), 0), 25 * max(-np.cos(phase), 0)
    return STANDING | {
        "LeftUpperLeg": turn(X, swing + lifted[0]), "RightUpperLeg": turn(X, -swing + lifted[1]),
        "LeftLowerLeg": turn(X, -2 * lifted[0]), "RightLowerLeg": turn(X, -2 * lifted[1]),
        "LeftFoot": turn(X, lifted[0] - swing), "RightFoot": turn(X, lifted[1] + swing),
    }  # fmt: skip


@pytest.mark.parametrize(("local", "degrees"), [(STANDING, 2), (SITTING, 25)], ids=["standing", "sitting"])
def test_a_body_is_upright_however_the_camera_looks(local, degrees):
    joints = joints_of(posed(**local)) @ CAMERA.T
    there = Ground().place(0, joints).points(joints)
    torso = there[HIPS, :].mean(0) - there[0]
    assert np.degrees(np.arccos(torso[1] / np.linalg.norm(torso))) < degrees
    right = there[HIPS[1]] - there[HIPS[0]]
    assert right[0] > 0.15 and abs(right[2]) < 0.05  # the hips look ahead
    assert there[:, 1].max() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("is_told", [False, True], ids=["guess", "gravity"])
def test_a_standing_foot_does_not_slide_and_the_body_gets_on(is_told):
    """Steps add up. A head that nods and turns meanwhile changes nothing."""
    ground, slid, before = Ground(), 0.0, None
    for n, phase in enumerate(np.linspace(0, 6 * np.pi, 180)):
        nod = Rotation.from_euler("yx", [20 * np.sin(n / 5), 20 * np.sin(n / 7)], degrees=True).as_matrix() @ CAMERA
        joints = joints_of(posed(**stride(phase))) @ nod.T
        there = ground.place(n * STEP_NS, joints, nod @ DOWN if is_told else None).points(joints)
        if before is not None and ground.stance == before[1]:
            foot = ANKLES[ground.stance]
            slid = max(slid, np.linalg.norm((there - before[0])[foot, ::2]))
        before = there, ground.stance
        assert there[TOES, 1].max() < 0.001  # never below the floor
    assert slid < 1e-6
    assert abs(there[HIPS, 2].mean()) > 0.8


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_the_room_does_not_depend_on_the_camera(seed, yaw):
    """Any turn of the camera gives the same room, whatever the body."""
    rng = np.random.default_rng(seed)
    body, camera = rng.normal(0, 1, (15, 3)), Rotation.random(random_state=rng) * Rotation.from_euler("y", yaw)
    seen = camera.apply(body)
    first, again = Ground().place(0, body, DOWN), Ground().place(0, seen, camera.apply(DOWN))
    across = body[HIPS[1]] - body[HIPS[0]]
    torso = body[HIPS, :].mean(0) - body[0]
    across -= (across @ torso) * torso / (torso @ torso)
    if abs(across[1]) < 0.9 * np.linalg.norm(across):
        assert np.allclose(first.points(body), again.points(seen), atol=1e-9)
    assert np.allclose(again.rotation @ again.rotation.T, np.eye(3)) and np.isclose(np.linalg.det(again.rotation), 1)
    assert np.isfinite(again.points(seen)).all()


@pytest.mark.parametrize("degrees", [-170, -30, 0, 100])
def test_what_follows_a_headset_keeps_its_place_floor_and_heading(degrees):
    """The same body seen again from elsewhere, with gravity told: it stands where the headset said."""
    in_room = joints_of(posed(**stride(1.0), Hips=turn(Y, degrees))) + [2.0, -0.3, -1.0]
    ground = Ground()
    ground.follow(0, in_room)
    seen = in_room @ CAMERA.T + [0.3, 0.1, 0.2]
    assert np.allclose(ground.place(STEP_NS, seen, CAMERA @ DOWN).points(seen), in_room, atol=1e-6)
    guessing = Ground()
    guessing.follow(0, in_room)
    there = guessing.place(STEP_NS, seen).points(seen)
    assert np.abs(there - in_room).max() < 0.1  # a guessed down comes in slowly


@pytest.mark.parametrize("joints", [np.zeros((15, 3)), np.ones((15, 3)) * [0, 1, 0]], ids=["zeros", "a point"])
def test_what_is_no_body_gives_numbers(joints):
    for gravity in (None, DOWN, np.array([1.0, 0, 0]), np.array([0, 0, 1.0])):
        assert np.isfinite(Ground().place(0, joints, gravity).points(joints)).all()


def test_hips_one_above_the_other_leave_it_to_the_camera():
    """Lying on a side."""
    lying = joints_of(posed(**STANDING)) @ Rotation.from_euler("z", 90, degrees=True).as_matrix().T
    there = Ground().place(0, lying, DOWN).points(lying)
    assert np.isfinite(there).all() and np.allclose(there[ANKLES, 1], there[ANKLES[0], 1], atol=0.3)
    assert there[TOES, 1].max() < 0.001 and there[0, 1] == pytest.approx(there[ANKLES, 1].mean(), abs=0.1)
