"""Poses and pictures that come by ways of their own."""

from __future__ import annotations

from made_recordings import made_picture, made_pose

from egostream.record import pairing as module
from egostream.record.pairing import Pairing


def taken(pairing: Pairing, **options) -> list[tuple[int, int | None]]:
    """Numbers of the poses that are ready, each with its picture's."""
    return [(pose.seq, picture.seq if picture else None) for pose, _, picture in pairing.ready(**options)]


def test_a_pose_waits_for_its_picture_and_is_followed_in_order():
    pairing = Pairing()
    for seq in (3, 5, 6):
        pairing.add_pose(made_pose(seq), b"")
    pairing.add_picture(made_picture(2))
    assert not taken(pairing)
    pairing.add_picture(made_picture(3))
    assert taken(pairing) == [(3, 3)]
    pairing.add_picture(made_picture(4))  # a frame that was not estimated
    pairing.add_picture(made_picture(6))
    assert taken(pairing) == [(5, None), (6, 6)]  # pictures come in order: that of 5 will not come
    assert pairing.lost == 1 and not pairing.pictures and pairing.bytes == 0


def test_pictures_that_come_first_wait_for_their_poses():
    pairing = Pairing()
    for seq in range(4):
        pairing.add_picture(made_picture(seq))
    pairing.add_pose(made_pose(2), b"")
    assert taken(pairing) == [(2, 2)] and list(pairing.pictures) == [3]


def test_at_the_end_and_after_some_time_nothing_is_waited_for(monkeypatch):
    pairing = Pairing()
    pairing.add_pose(made_pose(0), b"")
    assert not taken(pairing) and taken(pairing, is_over=True) == [(0, None)]
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    pairing.add_pose(made_pose(1), b"")
    assert taken(pairing) == [(1, None)] and pairing.lost == 2


def test_pictures_that_nobody_wants_take_little_memory(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3 * len(made_picture(0).data))
    pairing = Pairing()
    for seq in range(10):
        pairing.add_picture(made_picture(seq))
    assert list(pairing.pictures) == [7, 8, 9]
