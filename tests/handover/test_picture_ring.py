"""Pictures for viewers and recorders: the newest stay, what is being replaced is never handed out."""

from __future__ import annotations

import multiprocessing
import time

import numpy as np
import pytest

from egostream.handover import picture_ring
from egostream.handover.picture_ring import CAPACITY, PLACES, PictureRing

CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture
def ring():
    ring = PictureRing()
    yield ring
    ring.close()


def picture_bytes(seq: int, length: int) -> np.ndarray:
    """Bytes that tell which picture they belong to, and how long it is."""
    return np.full(length, seq % 251, np.uint8)


def test_pictures_come_back_as_they_went_in(ring):
    for seq in range(3):
        assert ring.write(seq * 10, seq, seq * 1000, ("jpeg", "png")[seq % 2], picture_bytes(seq, 100 + seq))
    found = ring.after(0, 10**9)
    assert [(one.number, one.seq, one.segment, one.t_capture_ns, one.format) for one in found] == [
        (1, 0, 0, 0, "jpeg"),
        (2, 10, 1, 1000, "png"),
        (3, 20, 2, 2000, "jpeg"),
    ]
    assert [one.data for one in found] == [picture_bytes(seq, 100 + seq).tobytes() for seq in range(3)]
    assert ring.newest() == found[-1]
    assert ring.after(2, 10**9) == found[2:] and ring.after(3, 10**9) == []


def test_an_empty_ring_has_no_picture(ring):
    assert ring.newest() is None and ring.after(0, 10**9) == []


def test_an_answer_has_so_many_bytes_and_one_picture_at_least(ring):
    for seq in range(4):
        ring.write(seq, 0, 0, "jpeg", picture_bytes(seq, 1000))
    assert [one.number for one in ring.after(0, 2500)] == [1, 2]
    assert [one.number for one in ring.after(2, 10)] == [3]


@pytest.mark.parametrize("length", [1000, CAPACITY // 3 + 100, CAPACITY])
def test_the_newest_pictures_stay_whole_when_the_block_is_full(ring, length):
    count = PLACES + 5 if length == 1000 else 7
    for seq in range(1, count + 1):
        assert ring.write(seq, 0, 0, "jpeg", picture_bytes(seq, length - seq))
    found = ring.after(0, 10**12)
    fit = {1000: PLACES, CAPACITY // 3 + 100: 2, CAPACITY: 1}[length]
    assert [one.seq for one in found] == list(range(count - fit + 1, count + 1))
    assert all(one.data == picture_bytes(one.seq, length - one.seq).tobytes() for one in found)


def test_a_picture_larger_than_the_block_is_refused(ring):
    ring.write(1, 0, 0, "jpeg", picture_bytes(1, 10))
    assert not ring.write(2, 0, 0, "png", np.zeros(CAPACITY + 1, np.uint8))
    assert ring.newest().seq == 1


def test_pictures_are_wanted_for_a_while_after_somebody_asked(ring):
    now_ns = time.monotonic_ns()
    assert not ring.is_wanted(now_ns)
    ring.want(is_exact=False)
    assert ring.is_wanted(now_ns) and not ring.is_exact(now_ns)
    ring.want(is_exact=True)
    assert ring.is_exact(now_ns)
    later = now_ns + 2 * picture_ring.WANTED_NS
    assert not ring.is_wanted(later) and not ring.is_exact(later)


def write_on(name: str, count: int) -> None:
    """Write pictures of changing length as fast as possible."""
    ring = PictureRing(name)
    for seq in range(1, count + 1):
        ring.write(seq, 0, 0, "jpeg", picture_bytes(seq, 200_000 + 37 * (seq % 5000)))
    ring.close()


def test_no_reader_sees_half_of_one_picture_and_half_of_another(ring):
    process = CONTEXT.Process(target=write_on, args=(ring.name, 20_000))
    process.start()
    seen = 0
    while process.is_alive() or not seen:
        for picture in ring.after(int(ring["written"]) - PLACES, 10**12)[:3]:  # the oldest: about to be replaced
            seen += 1
            assert picture.data == picture_bytes(picture.seq, 200_000 + 37 * (picture.seq % 5000)).tobytes()
    process.join()
    assert seen > 10 and process.exitcode == 0


def test_the_picture_of_one_frame_is_found_by_its_number(ring):
    assert ring.of_frame(7) is None and ring.of_frame(None) is None
    for seq in (5, 7, 9):
        ring.write(seq, 0, 100 + seq, "jpeg", np.full(10, seq, np.uint8))
    assert ring.of_frame(7).data == bytes([7] * 10) and ring.of_frame(0) is None
    for seq in range(10, 10 + PLACES):
        ring.write(seq, 0, seq, "jpeg", np.zeros(1, np.uint8))
    assert ring.of_frame(7) is None
