"""Limbs that the camera hardly sees do not leap, and get where they are shown in the end."""

from __future__ import annotations

import numpy as np
import pytest
from made_bodies import STANDING, X, joints_of, posed, turn

from egostream.body.solve import BodySolver
from egostream.skeleton import JOINT_COUNT, JOINTS

STEP_NS = 33_333_333
BENT = STANDING | {"LeftUpperLeg": turn(X, 40), "LeftLowerLeg": turn(X, -80)}
ANKLE, FOOT = JOINTS.index("left_ankle"), JOINTS.index("left_foot")


def bends_deg(frames, confidence):
    """The left knee's bend in each frame; confidence of its ankle and foot while it is bent."""
    solver, bends = BodySolver(), []
    for n, local in enumerate(frames):
        seen = np.ones(JOINT_COUNT)
        seen[[ANKLE, FOOT]] = confidence if local is BENT else 1.0
        joints = solver.body.joints(solver(n * STEP_NS, joints_of(posed(**local)), seen))
        hip, knee, ankle = (joints[JOINTS.index(f"left_{joint}")] for joint in ("hip", "knee", "ankle"))
        first, second = knee - hip, ankle - knee
        cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        bends.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return bends


@pytest.mark.parametrize(("confidence", "least", "most"), [(1.0, 79, 81), (0.4, 0, 70), (0.2, 0, 60)])
def test_a_leap_of_two_frames_is_followed_as_far_as_it_is_seen(confidence, least, most):
    """The thigh is seen and goes up by 40 degrees. The shin leaps back where nobody sees it."""
    bends = bends_deg([STANDING] * 10 + [BENT] * 2 + [STANDING] * 5, confidence)
    assert least <= max(bends[10:12]) <= most
    assert bends[-1] == pytest.approx(0, abs=0.1)  # seen again: as it is


def test_what_lasts_is_shown_in_the_end():
    bends = bends_deg([STANDING] * 10 + [BENT] * 20, 0.3)
    assert bends[10] < 70 and bends[-1] == pytest.approx(80, abs=1)
