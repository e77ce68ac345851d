"""Quaternions and matrices against SciPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from egostream.head import rotations

seeds = st.integers(0, 2**32 - 1)


def two(seed: int) -> tuple[Rotation, Rotation]:
    return tuple(Rotation.random(2, random_state=np.random.default_rng(seed)))


@settings(deadline=None)
@given(seeds)
def test_quaternions_are_scipys(seed):
    first, second = two(seed)
    a, b = first.as_quat(), second.as_quat()
    assert np.allclose(rotations.matrix(a), first.as_matrix())
    assert np.allclose(rotations.matrix(rotations.quaternion(first.as_matrix())), first.as_matrix())
    assert np.allclose(rotations.matrix(rotations.product(a, b)), (first * second).as_matrix())
    assert np.allclose(rotations.matrix(rotations.inverse(a)), first.inv().as_matrix())
    assert np.isclose(rotations.angle(a, b), (first * second.inv()).magnitude())


@settings(deadline=None)
@given(seeds, st.floats(0, 1), st.sampled_from([1, -1]))
def test_slerp_is_scipys(seed, share, sign):
    first, second = two(seed)
    between = rotations.slerp(first.as_quat(), sign * second.as_quat(), share)
    assert np.allclose(
        rotations.matrix(between), Slerp([0, 1], Rotation.concatenate([first, second]))(share).as_matrix()
    )
    assert np.isclose(np.linalg.norm(between), 1)


@settings(deadline=None)
@given(seeds, st.floats(-1e-9, 1e-9))
def test_slerp_of_what_hardly_turns(seed, turn):
    first, _ = two(seed)
    second = first * Rotation.from_rotvec([turn, 0, 0])
    assert np.allclose(rotations.slerp(first.as_quat(), second.as_quat(), 2.0), first.as_quat(), atol=1e-6)


@settings(deadline=None)
@given(seeds)
def test_the_nearest_rotation_of_a_rotation_is_itself(seed):
    first, _ = two(seed)
    noise = np.random.default_rng(seed).normal(0, 1e-3, (3, 3))
    assert np.allclose(rotations.nearest_rotation(first.as_matrix()), first.as_matrix())
    near = rotations.nearest_rotation(first.as_matrix() + noise)
    assert (
        np.allclose(near @ near.T, np.eye(3))
        and np.linalg.det(near) > 0
        and np.abs(near - first.as_matrix()).max() < 0.01
    )
