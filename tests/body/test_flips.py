"""No bone flips between frames, whatever the joints do: a bone's turn about itself has a limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bodies import STANDING, X, Y, Z, joints_of, posed, turn
from scipy.spatial.transform import Rotation

from egostream.body.bones import FOOT_REST
from egostream.body.hinges import FASTEST
from egostream.body.solve import BodySolver
from egostream.skeleton import JOINTS

coordinates = st.floats(-1, 1).map(lambda v: round(v, 6))
joint_sets = st.lists(coordinates, min_size=45, max_size=45).map(lambda v: np.array(v).reshape(15, 3))
#: (bone that carries it, direction in a T-pose) of each bone that joints tell no turn of.
LIMBS = {
    f"{side}{bone}": (carrier, np.array(rest))
    for side, out in (("Left", -1.0), ("Right", 1.0))
    for bone, carrier, rest in (
        ("UpperArm", "Chest", (out, 0, 0)),
        ("LowerArm", "Chest", (out, 0, 0)),
        ("UpperLeg", "Hips", (0, 1.0, 0)),
        ("LowerLeg", "Hips", (0, 1.0, 0)),
        ("Foot", "Hips", FOOT_REST),
    )
}


def solved(frames, seconds):
    solver = BodySolver()
    return [solver(round(n * seconds * 1e9), joints) for n, joints in enumerate(frames)]


def turns_deg(before, after):
    """By how much each limb turned about itself, beyond the shortest swing of its direction."""
    found = {}
    for bone, (carrier, rest) in LIMBS.items():
        first, second = (
            Rotation.from_quat(pose.rotation(carrier)).inv() * Rotation.from_quat(pose.rotation(bone))
            for pose in (before, after)
        )
        a, b = first.apply(rest), second.apply(rest)
        axis = np.cross(a, b)
        angle = np.arctan2(np.linalg.norm(axis), a @ b)
        if angle > np.radians(179):  # opposite directions have no shortest swing
            continue
        swing = Rotation.from_rotvec(axis / max(np.linalg.norm(axis), 1e-12) * angle)
        found[bone] = np.degrees((second * (swing * first).inv()).magnitude())
    return found


@given(st.lists(joint_sets, min_size=2, max_size=4), st.sampled_from([1 / 90, 1 / 30, 0.1]))
@settings(max_examples=30, deadline=None)
def test_no_bone_turns_about_itself_faster_than_it_may(frames, seconds):
    """Of joints that leap about at random, too: as of a network that is wrong, or broken mocap."""
    poses = solved(frames, seconds)
    for before, after in zip(poses, poses[1:]):
        for bone, degrees in turns_deg(before, after).items():
            assert degrees <= np.degrees(FASTEST) * seconds + 0.5, bone


def test_bent_legs_that_stand_turn_less_than_the_noise_of_their_joints():
    """Legs of a network are never still. What their hinge shows from frame to frame is mostly that."""
    rng = np.random.default_rng(2)
    bent = {
        f"{side}{bone}": turn(X, by) for side in ("Left", "Right") for bone, by in (("UpperLeg", 20), ("LowerLeg", -40))
    }
    standing = joints_of(posed(**STANDING | bent))
    legs = [JOINTS.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle", "foot")]
    frames = []
    for _ in range(90):
        noisy = standing.copy()
        noisy[legs] += rng.normal(0, 0.01, (len(legs), 3))
        frames.append(noisy)
    poses = solved(frames, 1 / 30)
    turned = [turns_deg(before, after)["LeftUpperLeg"] for before, after in zip(poses, poses[1:])]
    hip, knee, ankle = (
        np.array([f[JOINTS.index(f"left_{joint}")] for f in frames]) for joint in ("hip", "knee", "ankle")
    )
    hinges = np.cross(knee - hip, ankle - knee)
    hinges /= np.linalg.norm(hinges, axis=1, keepdims=True)
    shown = np.degrees(np.arccos(np.clip((hinges[1:] * hinges[:-1]).sum(1), -1, 1)))
    assert np.median(turned) < 0.7 * np.median(shown)


def test_after_a_gap_bones_are_as_they_are_seen():
    """The limit is between frames: what was before a gap says nothing of what is after it."""
    first, second = joints_of(posed(**STANDING)), joints_of(posed(LeftUpperArm=turn(Z, -60), LeftLowerArm=turn(Y, 90)))
    solver = BodySolver()
    solver(0, first @ np.diag([-1, -1, 1]))
    after = solver(10_000_000_000, second)
    alone = BodySolver()(0, second)
    for bone in LIMBS:
        assert abs(after.rotation(bone) @ alone.rotation(bone)) == pytest.approx(1, abs=1e-3), bone
