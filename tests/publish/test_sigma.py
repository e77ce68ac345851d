"""How far off a joint may be travels with a pose where the weights say it, and is left out where they do not."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from made_messages import pose_message

from egostream.errors import EgostreamError
from egostream.publish.message import pack, unpack
from egostream.publish.message import pose_message as message_of
from egostream.types import Pose

SIGMA = [0.01 * j for j in range(1, 16)]


def pose(sigma: np.ndarray | None) -> Pose:
    """A pose of zeros with this doubt."""
    return Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15), {}, 0, sigma_m=sigma)


def body(frame: bytes) -> dict:
    """A message as a client without egostream reads it."""
    return msgpack.unpackb(frame.partition(b"\0")[2])


def test_doubt_travels_where_the_weights_say_it():
    frame = pack("pose", message_of("0", pose(np.array(SIGMA)), "id", 0))
    assert body(frame)["sigma_m"] == SIGMA
    assert unpack(frame).sigma_m == SIGMA


def test_other_poses_have_no_such_key():
    assert "sigma_m" not in body(pack("pose", message_of("0", pose(None), "id", 0)))
    assert "sigma_m" not in body(pack("pose", pose_message()))


@pytest.mark.parametrize("sigma", [[0.1] * 14, [float("nan")] * 15, "much"])
def test_doubt_that_is_none_is_malformed(sigma):
    head, _, packed = pack("pose", pose_message()).partition(b"\0")
    with pytest.raises(EgostreamError, match="malformed"):
        unpack(head + b"\0" + msgpack.packb(msgpack.unpackb(packed) | {"sigma_m": sigma}))
