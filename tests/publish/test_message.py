"""Messages to bytes and back; foreign, newer and damaged ones."""

from __future__ import annotations

import msgpack
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


def spoiled(**changes) -> bytes:
    """A pose's frame with other values under some keys, as no publisher of ours would send it."""
    head, _, body = pack("pose", pose_message()).partition(b"\0")
    return head + b"\0" + msgpack.packb(msgpack.unpackb(body) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"joints": [[0.0] * 3] * 14},
        {"joints": [[0.0] * 3] * 16},
        {"joints": []},
        {"joints": [[0.0] * 3] * 14 + [[0.0] * 2]},
        {"joints": [[0.0] * 3] * 14 + [[0.0, 0.0, float("nan")]]},
        {"joints": [[float("inf")] * 3] * 15},
        {"joints": [["0"] * 3] * 15},
        {"confidence": [1.0] * 14},
        {"confidence": [float("nan")] * 15},
        {"keypoints": [[0.0] * 3] * 15},
        {"keypoints": [[float("nan")] * 2] * 15},
        {"seq": float("nan")},
        {"stages_ns": [1]},
        {"joints_world": [[0.0] * 3] * 14},
        {"joints_world": [[float("nan")] * 3] * 15},
        {"head": {"position": "up"}},
        {"head": {"position": [0.0] * 2}},
        {"head": {"orientation": []}},
        {"head": {"orientation": [float("nan")] * 4}},
    ],
)
def test_what_is_no_pose_is_never_returned_as_one(changes):
    with pytest.raises(EgostreamError, match="malformed message on 'pose/1'"):
        unpack(spoiled(**changes))


def test_keypoints_of_joints_that_the_camera_cannot_see_may_be_no_numbers():
    hidden = {"confidence": [0.0] * 15, "keypoints": [[float("nan")] * 2] * 15}
    assert unpack(spoiled(**hidden)).confidence == [0.0] * 15


def test_nesting_without_end_is_a_malformed_message():
    with pytest.raises(EgostreamError, match="malformed"):
        unpack(b"pose/0\0" + b"\x81\xa1x" + b"\x91" * 100_000)


def test_newer_messages_with_more_keys_are_read():
    """Additive changes only: an old client reads a newer publisher."""
    head, _, body = pack("pose", pose_message()).partition(b"\0")
    extended = msgpack.packb(msgpack.unpackb(body) | {"velocity": [1, 2]})
    assert unpack(head + b"\0" + extended) == pose_message()
