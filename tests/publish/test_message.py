"""Messages to bytes and back; foreign, newer and damaged ones."""

from __future__ import annotations

import msgspec
import pytest
from made_messages import pose_message

from egostream.errors import EgostreamError
from egostream.publish.message import pack, topic, unpack


def test_messages_round_trip_and_topics_do_not_overlap():
    message = pose_message()
    assert unpack(pack("pose", message)) == message
    assert not pack("pose", pose_message(stream="10")).startswith(topic("pose", "1"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not an egostream message"),
        (b"pose/0\0\xc1", "malformed"),
        (b"pose/0\0\x81\xa1\xff\x01", "malformed"),
        (b"pose/0\0" + b"\x81\xa1a" * 100_000, "malformed"),  # a nest that costs all stack
        (b"weather/0\0\x80", "not an egostream message"),
        (pack("pose", pose_message(v=99)), "version 99"),
        (b"pose/0\0" + msgspec.msgpack.encode({"v": 2, "wrists": []}), "version 2"),  # whatever that one has
    ],
)
def test_foreign_messages_are_refused_by_name(data, problem):
    with pytest.raises(EgostreamError, match=problem):
        unpack(data)
