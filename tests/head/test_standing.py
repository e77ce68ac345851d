"""Where the camera sits on the head, from a wearer who stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from standing_wearer import STANDING, seen_from, tracked

from egostream.errors import EgostreamError
from egostream.head.standing import standing_rotation, typed_rotation
from egostream.publish.message import PlacedHead
from egostream.skeleton import JOINTS


def mounted(pitch_deg: float, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = typed_rotation(pitch_deg, yaw_deg, roll_deg)
    transform[:3, 3] = [0.02, 0.05, -0.1]
    return transform


def poses_of(transform: np.ndarray, noise_m: float = 0.0, count: int = 40, body=STANDING, **changes) -> list:
    rng = np.random.default_rng(3)
    return [tracked(seen_from(transform, body + rng.normal(0, noise_m, (15, 3))), **changes) for _ in range(count)]


def off_deg(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(found @ truth.T).magnitude()))


@settings(deadline=None)
@given(st.floats(0, 120), st.floats(-30, 30), st.floats(-30, 30))
def test_any_mount_is_found(pitch, yaw, roll):
    """The wearer's shoulders are over the ankles, so that the body is a plumb line."""
    body = STANDING.copy()
    body[:, 2] = 0
    transform = mounted(pitch, yaw, roll)
    assert off_deg(standing_rotation(poses_of(transform, body=body, count=10)).rotation, transform[:3, :3]) < 0.01


def test_noise_averages_out():
    transform = mounted(80, 5, -3)
    standing = standing_rotation(poses_of(transform, noise_m=0.01))
    assert off_deg(standing.rotation, transform[:3, :3]) < 1.0
    assert standing.poses == 40 and 0 < standing.scatter_deg < 4


def test_a_head_that_is_not_level_is_taken_into_account():
    """The headset tells how the head is held; where it faces in the room does not matter."""
    transform = mounted(75)
    head = Rotation.from_euler("YXZ", [2.0, -0.35, 0.1])  # looks down by 20 degrees
    level = Rotation.from_euler("Y", 2.0)
    body = STANDING.copy()
    body[:, 2] = 0
    body_in_head = (head.inv() * level).apply(body)
    told = PlacedHead(position=[0.0, 1.7, 0.0], orientation=head.as_quat().tolist())
    found = standing_rotation(poses_of(transform, body=body_in_head, head=told)).rotation
    # The head faces where its backward axis, laid level, says: 2 radians but for the roll's small share.
    assert off_deg(found, transform[:3, :3]) < 0.01
    untold = standing_rotation(poses_of(transform, body=body_in_head)).rotation
    assert off_deg(untold, transform[:3, :3]) > 15


def bent() -> np.ndarray:
    body = STANDING.copy()
    for side in ("right", "left"):
        body[JOINTS.index(f"{side}_ankle")] += [0, 0.3, 0.35]
    return body


@pytest.mark.parametrize(
    ("poses", "problem"),
    [
        (poses_of(mounted(80), body=bent()), "legs are bent"),
        (poses_of(mounted(80), confidence=0.1), "0 of 40 poses show"),
        (poses_of(mounted(80), count=3), "3 of 3 poses show"),
        (poses_of(mounted(80), count=20) + poses_of(mounted(50), count=20), "moved by"),
        ([], "0 of 0 poses"),
    ],
    ids=["sits", "is not seen", "few", "moves", "none"],
)
def test_a_wearer_who_does_not_stand_is_refused(poses, problem):
    with pytest.raises(EgostreamError, match=problem):
        standing_rotation(poses)


def test_typed_angles_mean_what_they_say():
    axis = lambda *angles: typed_rotation(*angles) @ [0, 0, 1]  # the optical axis in the head's axes
    assert np.allclose(axis(0, 0, 0), [0, 0, -1]) and np.allclose(axis(90, 0, 0), [0, -1, 0])
    assert np.allclose(axis(0, 90, 0), [-1, 0, 0])  # to the left
    assert np.allclose(typed_rotation(90, 0, 0) @ [0, 1, 0], [0, 0, 1])  # the picture's bottom is towards the body
    assert np.allclose(typed_rotation(0, 0, 90) @ [1, 0, 0], [0, 1, 0])  # counter-clockwise from behind: right goes up
    expected = Rotation.from_euler("YXZ", [20, -70, 10], degrees=True).as_matrix() @ np.diag([1, -1, -1])
    assert np.allclose(typed_rotation(70, 20, 10), expected)


def test_the_cameras_place_is_that_of_typical_eyes_above_the_shoulders():
    """A body whose eyes are where Winter's table has them: its camera is found, whatever the stature."""
    upright = STANDING * [1, 1, 0]  # what leans makes a turn that is off
    for stature in (1.5, 1.9):
        body = upright * stature / standing_rotation(poses_of(mounted(80), body=upright, count=10)).stature_m
        body += stature * np.array([0, -0.118, 0.05]) - body[[1, 4]].mean(0)
        transform = mounted(70, 3)
        found = standing_rotation(poses_of(transform, body=body, count=10))
        assert np.allclose(found.position, transform[:3, 3], atol=0.004), (found.position, found.stature_m)


def test_a_place_that_no_camera_has_is_refused():
    far = mounted(80)
    far[:3, 3] = [0.0, 0.2, -0.6]
    with pytest.raises(EgostreamError, match="from the eyes.*--position"):
        standing_rotation(poses_of(far))
