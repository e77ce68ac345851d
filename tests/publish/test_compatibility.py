"""Clients of the release before read what is published now, and this release's client reads that one's publisher."""

from __future__ import annotations

import msgpack
import msgspec
import pytest
import release_0_1
from made_messages import pose_message

from egostream.publish.message import ENCODER, HeadStatus, PlacedHead, StatusMessage, pack, unpack

LATER = {"later": [1, None, True, b"\0", 2**64 - 1, msgpack.ExtType(42, b"x"), {"deeper": {7: []}}], "w": {}}
KINDS = {"pose": (release_0_1.Pose, release_0_1.POSE), "status": (release_0_1.Status, release_0_1.STATUS)}


def published(kind: str) -> bytes:
    """A message as it is published now, every key in it."""
    head = HeadStatus(state="late", received=3, refused={"jump": 1}, poses_without={"late": 2}, has_mount=True)
    status = msgspec.structs.replace(msgspec.convert(release_0_1.STATUS, StatusMessage), head=head)
    placed = {"joints_world": [[0.5] * 3] * 15, "world": "headset", "head": PlacedHead(position=[0.0, 1.7, 0.0])}
    return pack(kind, pose_message(stream="0", **placed) if kind == "pose" else status).partition(b"\0")[2]


def holds(map: object, part: object) -> bool:
    """Whether all keys of a map are in another with the same value, and so in the maps inside."""
    if isinstance(part, dict):
        return isinstance(map, dict) and all(key in map and holds(map[key], value) for key, value in part.items())
    return map == (list(part) if isinstance(part, tuple) else part)


def with_later_keys(map: dict) -> dict:
    """The map as a later release might send it: more keys before and after, in the maps inside as well."""
    known = {key: {**LATER, **value} if key in ("camera", "engine") else value for key, value in map.items()}
    return {**LATER, **known, "joints_later": [[0.0] * 3] * 15}


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_of_the_release_before_reads_what_is_published(kind):
    old = msgspec.msgpack.decode(published(kind), type=KINDS[kind][0])
    now = msgpack.unpackb(published(kind))
    for key, value in msgspec.to_builtins(old).items():
        assert holds(now[key], value), key


@pytest.mark.parametrize("kind", KINDS)
def test_the_keys_of_the_release_before_come_first_and_in_order(kind):
    keys = list(KINDS[kind][1])
    assert list(msgpack.unpackb(published(kind)))[: len(keys)] == keys


@pytest.mark.parametrize("kind", KINDS)
def test_a_publisher_of_the_release_before_is_read(kind):
    sent = KINDS[kind][1]
    assert holds(msgpack.unpackb(ENCODER.encode(unpack(f"{kind}/0\0".encode() + msgpack.packb(sent)))), sent)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_later_releases_are_left_alone(kind):
    sent, head = KINDS[kind][1], f"{kind}/0\0".encode()
    assert unpack(head + msgpack.packb(with_later_keys(sent))) == unpack(head + msgpack.packb(sent))
