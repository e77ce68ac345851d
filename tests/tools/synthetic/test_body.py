"""Bodies of every source are plausible people."""

from __future__ import annotations

import numpy as np
import pytest
from stick_figures import t_pose

from egostream.skeleton import BONES
from tools.synthetic.people import body as bodies


def test_bodies_are_plausible_people(people):
    statures = []
    for seed in range(12):
        body = people.sample(np.random.default_rng(seed))
        statures.append(body.stature)
        assert np.allclose(body.weights.sum(1), 1, atol=1e-4) and np.isfinite(body.vertices).all()
        assert set(np.unique(body.regions)) <= set(range(len(bodies.REGIONS)))
        turns, heads = body.pose(np.array([[0, body.hip_height, 0]]), t_pose().rotations, np.zeros((1, 2)))
        joints = body.joints(heads)[0]
        assert (
            joints[3, 0] < joints[2, 0] < joints[1, 0] < 0 < joints[4, 0] < joints[5, 0] < joints[6, 0]
        )  # right is -x
        bones = {pair: np.linalg.norm(joints[pair[0]] - joints[pair[1]]) for pair in BONES}
        assert (
            0.2 < bones[2, 1] < 0.4
            and 0.18 < bones[3, 2] < 0.36
            and 0.3 < bones[8, 7] < 0.6
            and 0.3 < bones[9, 8] < 0.6
        )
        assert bones[2, 1] == pytest.approx(bones[5, 4], rel=0.03) and bones[8, 7] == pytest.approx(
            bones[12, 11], rel=0.03
        )
        vertices, normals = body.skin(turns[0], heads[0])
        # what is worn on the feet stands on the floor, and skinning moves flesh with its bone
        assert vertices[:, 1].min() == pytest.approx(0, abs=0.03)
        arm = body.weights[:, body.bones.segment_bone("forearm_r")] > 0.9
        axis = joints[3] - joints[2]
        along = (vertices[arm] - joints[2]) @ axis / (axis @ axis)
        assert arm.any() and -0.5 < along.min() and along.max() < 1.6
        np.testing.assert_allclose(axis / np.linalg.norm(axis), [-1, 0, 0], atol=0.05)  # a T-pose is a T-pose
        assert np.linalg.norm(normals, axis=1).min() > 0.2
    assert np.ptp(statures) > 0.1 and 1.4 < min(statures) and max(statures) < 2.15
