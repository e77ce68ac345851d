"""Axes of engines: points and rotations against matrices of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egostream.body import axes

#: Where the wearer's right, up and forward point in each system, as its makers say.
SYSTEMS = {
    axes.CAMERA: ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    axes.UNITY: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    axes.OPENXR: ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    axes.OPENVR: ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    axes.GLTF: ((-1, 0, 0), (0, 1, 0), (0, 0, 1)),
    axes.VRM0: ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_points_and_rotations_change_together(system):
    right, up, forward = np.array(SYSTEMS[system], float)
    np.testing.assert_array_equal(system.points(np.array([1.0, -2.0, 3.0])), right + 2 * up + 3 * forward)
    rotations = Rotation.random(20, rng=np.random.default_rng(0))
    point = np.array([0.3, -0.2, 0.7])
    there = Rotation.from_quat(system.rotations(rotations.as_quat()))
    np.testing.assert_allclose(there.apply(system.points(point)), system.points(rotations.apply(point)), atol=1e-12)
    assert system.is_mirrored == (np.cross(right, up) @ -forward < 0)
    np.testing.assert_array_equal(system.back(system.points(point)), point)


def test_unity_and_openxr_are_those_of_the_client():
    from egostream.publish import client

    np.testing.assert_array_equal(axes.UNITY.signs, client.UNITY)
    np.testing.assert_array_equal(axes.OPENXR.signs, client.OPENXR)


def test_openxr_becomes_unity_as_engines_do_it():
    """(x, y, -z) and (-x, -y, z, w): the rule by which Unity's OpenXR plugin and OpenVR clients convert."""
    q, p = Rotation.random(rng=np.random.default_rng(1)).as_quat(), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(axes.UNITY.points(axes.OPENXR.back(p)), p * [1, 1, -1])
    np.testing.assert_array_equal(axes.UNITY.rotations(axes.OPENXR.rotations(q)), q * [-1, -1, 1, 1])
