"""The clients that read a WebSocket, against a server that sends real packed messages as the bridge promises to.

One WebSocket message per pose: binary is the ZeroMQ message byte for byte, text the same fields as JSON.
"""

from __future__ import annotations

import json
import time

import msgpack
import pytest
from built_clients import AXES, RunningClient, check_places
from live_publisher import STREAM, joints_of, pose_of
from pose_sockets import Bridge
from processes import wait_for

from egostream.publish.message import pack, pose_message

pytestmark = pytest.mark.parametrize("name", ["csharp", "javascript"])


def binary(seq: int) -> bytes:
    return pack("pose", pose_message(STREAM, pose_of(seq), "weights", 0))


def bare(seq: int) -> bytes:
    """The map alone."""
    return binary(seq).partition(b"\0")[2]


def text(seq: int) -> str:
    return json.dumps(msgpack.unpackb(bare(seq)))


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
    forms = [binary, bare] + [text] * (name == "javascript")
    for seq, form in enumerate(forms):
        bridge.send(form(seq))
        line = client.line_of(seq)
        assert line.stream == STREAM and line.missed == 0 and 0 <= line.age_ms < 60_000
        check_places(line, joints_of(seq), AXES[name])
    assert not client.skipped()


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 100, b"\x91" * 100_000, "", "{", "[1]", '{"v": 1}', "null"])
def test_garbage_costs_one_line(client, bridge, garbage):
    bridge.send(garbage)
    client.wait(lambda: client.skipped())
    bridge.send(binary(3))
    client.line_of(3)
    assert len(client.skipped()) == 1


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
