"""Rotation algebra, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from stick_figures import degrees_apart

from tools.synthetic.movement.rotations import angle_between, from_quaternion, slerp, swing, to_quaternion


def test_quaternions_and_slerp_agree_with_scipy():
    a, b = (Rotation.random(500, random_state=seed) for seed in (1, 2))
    assert np.allclose(from_quaternion(to_quaternion(a.as_matrix())), a.as_matrix(), atol=1e-12)
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3)).as_matrix()
    assert np.allclose(from_quaternion(to_quaternion(half_turns)), half_turns, atol=1e-12)
    weight = np.linspace(0, 1, 500)
    expected = (a * Rotation.from_rotvec(weight[:, None] * (a.inv() * b).as_rotvec())).as_matrix()
    assert np.allclose(slerp(a.as_matrix(), b.as_matrix(), weight), expected, atol=1e-9)
    assert np.allclose(angle_between(a.as_matrix(), b.as_matrix()), (a.inv() * b).magnitude(), atol=1e-7)


def test_swing_is_the_smallest_rotation_also_for_opposite_directions():
    rng = np.random.default_rng(0)
    for source, target in [*rng.normal(size=(20, 2, 3)), ([0, 1, 0], [0, -2, 0]), ([1, 0, 0], [3, 0, 0])]:
        R = swing(source, target)
        assert np.allclose(R @ source / np.linalg.norm(source), target / np.linalg.norm(target), atol=1e-9)
        assert angle_between(R, np.eye(3)) == pytest.approx(
            np.radians(degrees_apart(*(v / np.linalg.norm(v) for v in (source, target)))), abs=1e-6
        )
