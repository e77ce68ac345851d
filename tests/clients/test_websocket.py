"""The clients that read a WebSocket, against a server that sends messages as the bridge does.

A message is a pose in the axes that the client's URL asks for, as msgpack or as JSON. The publisher's own messages are
read as well.
"""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

import msgpack
import pytest
from built_clients import AXES, RunningClient, check_places
from live_publisher import STREAM, joints_of, pose_of
from pose_sockets import Bridge
from processes import wait_for

from egostream.publish.client import OPENXR, UNITY
from egostream.publish.message import pack, pose_message

#: Of a bridge's message what a publisher's has, too.
SCENE_KEYS = ("v", "stream", "seq", "t_capture_ns", "clock_offset_ns", "confidence")
pytestmark = pytest.mark.parametrize("name", ["csharp", "javascript"])


def binary(seq: int) -> bytes:
    return pack("pose", pose_message(STREAM, pose_of(seq), "weights", 0))


def bare(seq: int) -> bytes:
    """The map alone."""
    return binary(seq).partition(b"\0")[2]


def scene(seq: int, axes: str) -> dict:
    """A bridge's message: the joints in some axes already, in the room."""
    fields = {key: value for key, value in msgpack.unpackb(bare(seq)).items() if key in SCENE_KEYS}
    turned = (joints_of(seq) * {"unity": UNITY, "openxr": OPENXR}[axes]).tolist()
    more = {"axes": axes, "world": "guess", "joints": turned, "hips": [0.0] * 3, "rotations": {"Hips": [0, 0, 0, 1]}}
    return fields | more


@pytest.fixture
def bridge():
    one = Bridge()
    yield one
    one.stop()


@pytest.fixture
def client(bridge, name, commands):
    command = commands(name)
    running = RunningClient(command, f"ws://127.0.0.1:{bridge.port}", LANG="de_DE.UTF-8")
    if not wait_for(lambda: bridge.sockets or running.process.poll() is not None, 30) or not bridge.sockets:
        running.close()
        assert name == "javascript" and "WebSocket is not defined" in "".join(running.notes), running.notes
        pytest.skip("this Node has no WebSocket: version 20.10 or later has")
    yield running
    running.close()


def test_poses_come_as_the_bridge_sends_them(client, bridge, name):
    axes = {"csharp": "unity", "javascript": "openxr"}[name]
    forms = [binary, bare, lambda seq: msgpack.packb(scene(seq, axes))]
    if name == "javascript":
        forms += [lambda seq: json.dumps(msgpack.unpackb(bare(seq))), lambda seq: json.dumps(scene(seq, axes))]
    for seq, form in enumerate(forms):
        bridge.send(form(seq))
        line = client.line_of(seq)
        assert line.stream == STREAM and line.missed == 0 and 0 <= line.age_ms < 60_000
        check_places(line, joints_of(seq), AXES[name])
    assert not client.skipped()


def test_a_bridge_is_asked_for_the_axes_of_the_engine(client, bridge, name):
    wish = parse_qs(urlsplit(bridge.paths[0]).query)
    assert wish == {"csharp": {"format": ["msgpack"], "axes": ["unity"]}, "javascript": {"axes": ["openxr"]}}[name]
    bridge.send(msgpack.packb(scene(1, {"csharp": "openxr", "javascript": "unity"}[name])))
    client.wait(lambda: client.skipped())
    assert "unknown axes" in client.skipped()[0]


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 100, b"\x91" * 100_000, "", "{", "[1]", '{"v": 1}', "null"])
def test_garbage_costs_one_line(client, bridge, garbage):
    bridge.send(garbage)
    client.wait(lambda: client.skipped())
    bridge.send(binary(3))
    client.line_of(3)
    assert len(client.skipped()) == 1


def test_a_bridge_that_comes_later_is_found(bridge, name, commands, client):
    """client: only to skip where there is no WebSocket."""
    bridge.stop()
    early = RunningClient(commands(name), f"ws://127.0.0.1:{bridge.port}")
    try:
        told = lambda: [note for note in early.notes if note.startswith("note: not connected")]
        early.wait(told)
        time.sleep(1.2)  # it tries again, and says nothing more
        assert len(told()) == 1
        bridge.start()
        early.wait(lambda: bridge.send(binary(2)) or early.lines)
    finally:
        early.close()


def test_a_bridge_that_starts_anew_is_found(client, bridge):
    bridge.send(binary(5))
    client.line_of(5)
    bridge.stop()
    client.wait(lambda: any(note.startswith("note: not connected") for note in client.notes))
    bridge.start()
    client.wait(lambda: bridge.sockets)
    time.sleep(0.1)  # the server has it before the client knows
    bridge.send(binary(9))
    assert client.line_of(9).missed == 3
