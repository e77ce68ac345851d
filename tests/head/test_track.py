"""A head's poses over time: what lies between and after samples, and what is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from egostream.head.rotations import matrix
from egostream.head.track import HISTORY_NS, HeadSample, HeadTrack

MS = 1_000_000


def moving(t_ns: int, offset: float = 0.0) -> HeadSample:
    """A head that walks at 1 m/s and turns at 2 rad/s."""
    seconds = t_ns / 1e9
    turn = Rotation.from_euler("y", 2 * seconds).as_quat()
    return HeadSample(t_ns, np.array([seconds + offset, 1.7, 0.0]), turn, "room")


def track_of(*times_ms: float) -> HeadTrack:
    track = HeadTrack()
    for t_ms in times_ms:
        assert track.add(moving(round(t_ms * MS))) == ""
    return track


def test_between_samples_is_linear_and_slerp():
    rng = np.random.default_rng(1)
    first, second = Rotation.random(random_state=rng), None
    second = Rotation.from_rotvec([0.2, -0.3, 0.1]) * first
    track = HeadTrack()
    for t_ns, turn, place in [(0, first, [0.0, 1, 2]), (20 * MS, second, [0.1, 1.1, 2])]:
        assert track.add(HeadSample(t_ns, np.array(place), turn.as_quat())) == ""
    at = track.at(5 * MS)
    assert np.allclose(at.position, [0.025, 1.025, 2])
    expected = Slerp([0, 20], Rotation.concatenate([first, second]))(5)
    assert np.allclose(matrix(at.orientation), expected.as_matrix())


@pytest.mark.parametrize("t_ms", [0, 11, 33, 60, 90, 120, 139])
def test_a_steady_movement_goes_on(t_ms):
    """Also up to 50 ms after the newest sample."""
    at, truth = track_of(*range(0, 91, 11), 90).at(t_ms * MS), moving(t_ms * MS)
    assert np.allclose(at.position, truth.position) and np.allclose(at.orientation, truth.orientation)
    assert at.space == "room"


@pytest.mark.parametrize("t_ms", [-1, 141, 5000])
def test_nothing_is_known_before_the_first_and_long_after_the_newest(t_ms):
    assert track_of(*range(0, 91, 10)).at(t_ms * MS) is None


def test_nothing_is_known_in_a_pause():
    track = track_of(0, 10, 500, 510)
    assert track.at(200 * MS) is None
    assert track.at(505 * MS) is not None
    # The speed over a pause is no speed: the head stands.
    assert np.allclose(track_of(0, 500).at(520 * MS).position, moving(500 * MS).position)


def test_one_sample_stands_still():
    assert np.allclose(track_of(100).at(130 * MS).position, moving(100 * MS).position)


def test_samples_that_come_twice_or_late_are_refused():
    track = track_of(0, 10, 20)
    assert [track.add(moving(t_ms * MS)) for t_ms in (20, 15)] == ["out of order"] * 2
    assert len(track.samples) == 3


@pytest.mark.parametrize(
    "jump",
    [
        HeadSample(30 * MS, np.array([5.0, 1.7, 0]), moving(30 * MS).orientation),
        HeadSample(30 * MS, moving(30 * MS).position, Rotation.from_euler("x", 2).as_quat()),
    ],
    ids=["place", "turn"],
)
def test_a_jump_is_refused_and_the_next_that_fits_is_taken(jump):
    track = track_of(0, 10, 20)
    assert track.add(jump) == "jump"
    assert np.allclose(track.at(30 * MS).position, moving(30 * MS).position)
    assert track.add(moving(40 * MS)) == "" and track.newest.t_ns == 40 * MS


def test_a_room_that_was_moved_is_taken_after_some_samples():
    track = track_of(0, 10, 20)
    answers = [track.add(moving(t_ms * MS, offset=3.0)) for t_ms in range(30, 90, 10)]
    assert answers == ["jump"] * 4 + [""] * 2
    assert np.allclose(track.at(75 * MS).position, moving(75 * MS, offset=3.0).position)
    assert track.at(20 * MS) is None  # of the other room


def test_jumps_to_and_fro_never_move_the_room():
    track = track_of(0, 10, 20)
    for n in range(40):
        assert track.add(moving((30 + n) * MS, offset=3.0 if n % 2 else -3.0)) == "jump"
    assert track.add(moving(80 * MS)) == ""


def test_memory_is_bounded_and_reaches_back():
    track = HeadTrack()
    for n in range(0, 30_000, 3):
        assert track.add(HeadSample(n * MS, np.zeros(3), np.array([0, 0, 0, 1.0]))) == ""
    assert len(track.samples) * MS < 3 * HISTORY_NS
    assert track.at(29_997 * MS - HISTORY_NS + 1) is not None
