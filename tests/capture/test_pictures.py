"""Pictures kept beside the network's way: a camera's own JPEG untouched, raw ones as PNG for recorders."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from processes import wait_for

from egostream.capture.pictures import WAITING, PictureKeeper
from egostream.handover.picture_ring import PictureRing
from egostream.types import CameraFrame

IMAGE = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def ring():
    ring = PictureRing()
    yield ring
    ring.close()


def frame(seq: int, data: np.ndarray) -> CameraFrame:
    """A frame of segment 2."""
    return CameraFrame(seq, 2, 1000 * seq, data)


def keeper_of(ring: PictureRing, can_wait: bool = False) -> PictureKeeper:
    """A keeper that must not have anything to say."""
    return PictureKeeper(ring, can_wait, lambda note: pytest.fail(note))


def test_nothing_is_kept_while_nobody_looks(ring):
    keeper_of(ring).keep(frame(1, IMAGE))
    assert ring.newest() is None


@pytest.mark.parametrize("suffix", ["jpeg", "png"])
def test_encoded_pictures_are_kept_as_they_came(ring, suffix):
    ring.want(is_exact=True)
    data = cv2.imencode(f".{suffix}", IMAGE)[1]
    keeper_of(ring).keep(frame(7, data))
    found = ring.newest()
    assert (found.seq, found.segment, found.t_capture_ns, found.format) == (7, 2, 7000, suffix)
    assert found.data == data.tobytes()


def test_raw_pictures_are_recorded_to_the_bit(ring):
    ring.want(is_exact=True)
    keeper = keeper_of(ring, can_wait=True)
    for seq in range(2 * WAITING):  # more than may wait
        keeper.keep(frame(seq, np.roll(IMAGE, seq, 0)))
    assert wait_for(lambda: ring["written"] == 2 * WAITING)
    for seq, found in enumerate(ring.after(0, 10**9)):
        assert found.format == "png" and found.seq == seq
        decoded = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_COLOR_BGR)
        assert (decoded == np.roll(IMAGE, seq, 0)).all()
    assert ring["lost"] == 0


def test_viewers_get_raw_pictures_as_jpeg(ring):
    ring.want(is_exact=False)
    smooth = cv2.resize(IMAGE, (640, 480), interpolation=cv2.INTER_CUBIC)
    keeper_of(ring).keep(frame(1, smooth))
    assert wait_for(lambda: ring.newest() is not None)
    found = ring.newest()
    decoded = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_COLOR_BGR)
    assert found.format == "jpeg" and cv2.PSNR(decoded, smooth) > 30


def test_pictures_of_another_encoding_are_recorded_to_the_bit(ring):
    ring.want(is_exact=True)
    keeper_of(ring, can_wait=True).keep(frame(1, cv2.imencode(".bmp", IMAGE)[1]))
    assert wait_for(lambda: ring.newest() is not None)
    assert (cv2.imdecode(np.frombuffer(ring.newest().data, np.uint8), cv2.IMREAD_COLOR_BGR) == IMAGE).all()


def test_what_still_waits_at_the_end_is_kept(ring):
    ring.want(is_exact=True)
    keeper = keeper_of(ring)
    for seq in range(WAITING):
        keeper.keep(frame(seq, cv2.resize(IMAGE, (640, 480))))
    keeper.finish()
    assert ring["written"] == WAITING and ring["lost"] == 0


def test_a_camera_is_not_held_up_by_a_recorder_and_what_is_lost_is_counted(ring, monkeypatch):
    ring.want(is_exact=True)
    keeper = keeper_of(ring)
    monkeypatch.setattr(keeper, "encode_waiting", lambda: None)  # a thread that has no time
    for seq in range(WAITING + 3):
        keeper.keep(frame(seq, IMAGE))
    assert ring["lost"] == 3


def test_without_room_in_shared_memory_nothing_is_kept_and_that_is_said_once(ring, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    said: list[str] = []
    keeper = PictureKeeper(ring, False, said.append)
    ring.want(is_exact=False)
    for seq in range(3):
        keeper.keep(frame(seq, IMAGE))
    assert ring.newest() is None
    assert len(said) == 1 and "/dev/shm is full" in said[0]
