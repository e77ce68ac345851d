"""The WebSocket bridge: a client in another process rebuilds the body by its rotations, and finds the joints."""

from __future__ import annotations

import contextlib
import http
import json
import socket

import numpy as np
import pytest
from bridges import TESTS, Program, best_turn_deg, bridge, directions
from processes import wait_for
from scipy.spatial.transform import Rotation

from egostream.body.bones import BONE_JOINTS, JOINT_BONES, PARENT_OF
from egostream.body.bones import BONES as HUMANOID
from egostream.skeleton import BONES

pytest.importorskip("websockets", reason="pip install websockets")
#: Signs of each system's axes against the camera's.
SIGNS = {"openxr": [1, -1, -1], "unity": [1, -1, 1], "gltf": [-1, -1, 1], "camera": [1, 1, 1]}


@pytest.fixture
def server(stage):
    """(stream, start, URL of a bridge that listens)."""
    stream, start = stage
    program = bridge(start, stream, "websocket", "--to", f"127.0.0.1:{free_port()}")
    return stream, start, url_of(program)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def url_of(program) -> str:
    assert program.says("WebSocket ws://"), program.errors
    line = next(line for line in program.errors if "ws://" in line)
    return line[line.index("ws://") :].split()[0]


def client(start, url, *arguments):
    return start(str(TESTS / "websocket_client.py"), url, *arguments)


def rebuilt(pose) -> np.ndarray:
    """Joints that the rotations and offsets of a message give; toes, which have no bone, are left at zero."""
    places, turns = {}, {}
    for bone in pose["offsets"]:
        parent, own = PARENT_OF[bone], Rotation.from_quat(pose["rotations"][bone])
        turns[bone] = turns[parent] * own if parent else own
        places[bone] = places[parent] + turns[parent].apply(pose["offsets"][bone]) if parent else pose["hips"]
    joints = np.zeros((15, 3))
    joints[BONE_JOINTS] = [places[HUMANOID[bone]] for bone in JOINT_BONES]
    return joints


def test_clients_find_the_published_bones(server, subtests):
    """Each in the axes and the format that it asks for."""
    stream, start, url = server
    wishes = [(axes, kind) for axes in SIGNS for kind in ("json", "msgpack")]
    clients = {wish: client(start, f"{url}?format={wish[1]}&axes={wish[0]}") for wish in wishes}
    for axes, kind in wishes:
        is_text, _, pose = clients[axes, kind].json()
        with subtests.test(axes=axes, kind=kind):
            assert is_text == (kind == "json")
            assert (pose["axes"], pose["world"]) == (axes, "camera" if axes == "camera" else "guess")
            joints = np.array(pose["joints"])
            np.testing.assert_allclose(rebuilt(pose)[BONE_JOINTS], joints[BONE_JOINTS], atol=1e-3)
            there = directions(joints, BONES) * SIGNS[axes]
            assert best_turn_deg(directions(stream.joints, BONES), there) < 1
            assert pose["stream"] == "0" and pose["seq"] > 0 and len(pose["confidence"]) == 15


def test_a_slow_client_gets_the_newest_and_slows_nobody(server):
    """One reads on, one reads once a second: the first misses nothing, the second misses all between."""
    stream, start, url = server
    slow, quick = client(start, url, "1"), client(start, url)
    slow.json()
    seqs = [pose["seq"] for _, _, pose in quick.newest(30)]
    assert np.diff(seqs).min() >= 1 and seqs[-1] - seqs[0] < 60
    late = [slow.json()[2]["seq"] for _ in range(4)]
    assert np.diff(late).max() > 10  # the few that were under way, then the newest


def test_a_client_that_pulls_gets_what_is_newest_then(server):
    from websockets.sync.client import connect

    stream, _, url = server
    with connect(url + "?pull=1") as client:
        client.send("ready")
        first = json.loads(client.recv(10))["seq"]
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert wait_for(lambda: stream.seq > first + 13)
        newest = stream.seq
        client.send("ready")
        assert json.loads(client.recv(10))["seq"] >= newest - 3  # the newest, and not the next


def test_pages_of_other_sites_are_refused(server):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    _, _, url = server
    for origin, is_admitted in (
        ("https://evil.example", False),
        ("null", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:8080", True),
        ("http://127.0.0.1", True),
    ):
        if is_admitted:
            with connect(url, origin=origin) as page:
                assert page.recv(10)
            continue
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin=origin)
        assert refused.value.response.status_code == http.HTTPStatus.FORBIDDEN


def test_a_named_page_and_a_token_let_in(stage):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    stream, start = stage
    port = free_port()
    page = "https://page.example"
    program = bridge(start, stream, "websocket", "--to", f"0.0.0.0:{port}", "--origin", page, "--insecure")
    token = url_of(program).partition("?token=")[2]
    assert len(token) > 16  # made up, because others reach it
    with connect(f"ws://127.0.0.1:{port}/?token={token}", origin=page) as client:
        assert client.recv(10)
    for path in ("", "?token=guess"):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{port}/{path}", origin=page)
        assert refused.value.response.status_code == http.HTTPStatus.UNAUTHORIZED


def test_a_wish_that_is_unknown_is_refused(server):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    _, _, url = server
    with pytest.raises(InvalidStatus) as refused:
        connect(url + "?format=xml")
    assert refused.value.response.status_code == http.HTTPStatus.BAD_REQUEST
    assert b"choose one of json, msgpack" in refused.value.response.body


def test_what_is_no_url_is_refused(server):
    """As a socket sends it: no library asks for such a path."""
    _, _, url = server
    host, port = url.removeprefix("ws://").rstrip("/").split(":")
    key = f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {22 * 'a'}==\r\nUpgrade: websocket\r\nConnection: Upgrade"
    with socket.create_connection((host, int(port)), 10) as raw:
        raw.sendall(f"GET //[ HTTP/1.1\r\nHost: {host}:{port}\r\n{key}\r\n\r\n".encode())
        assert b" 400 " in raw.recv(4096).partition(b"\r\n")[0]


def test_clients_that_leave_and_garbage_stop_nothing(server):
    """A client killed in the midst, one that speaks no HTTP, one that floods: the next client is served."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    _, start, url = server
    gone = client(start, url)
    gone.json()
    gone.process.kill()
    port = int(url.split(":")[2].strip("/"))
    with socket.create_connection(("127.0.0.1", port)) as wild:
        wild.sendall(b"\x00\xff garbage \r\n\r\n")
    with connect(url) as flooding:
        flooding.send("x" * 100_000)
        with contextlib.suppress(ConnectionClosed):  # refused, sooner or later
            while True:
                flooding.recv(10)
    assert client(start, url).json()[2]["seq"] > 0


def test_others_are_not_reached_by_accident():
    program = Program("-m", "egostream", "bridge", "websocket", "--to", f"0.0.0.0:{free_port()}")
    try:
        assert program.process.wait(60) == 1 and program.says("not encrypted", 1) and len(program.errors) == 1
    finally:
        program.close()


def test_only_so_many_clients_are_served(server):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    from egostream.bridge.websocket import MOST_CLIENTS

    _, _, url = server
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_CLIENTS):
            assert stack.enter_context(connect(url)).recv(10)
        with pytest.raises(InvalidStatus) as refused:
            connect(url)
        assert refused.value.response.status_code == http.HTTPStatus.SERVICE_UNAVAILABLE

    def is_served():
        with contextlib.suppress(InvalidStatus), connect(url) as after:
            return bool(after.recv(10))

    assert wait_for(is_served)  # they left


def test_a_port_in_use_ends_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        program = Program("-m", "egostream", "bridge", "websocket", "--to", f"127.0.0.1:{taken.getsockname()[1]}")
        try:
            assert program.process.wait(60) == 1 and program.says("cannot listen there", 1)
            assert len(program.errors) == 1
        finally:
            program.close()


def test_it_ends_while_clients_are_connected(stage):
    stream, start = stage
    program = bridge(start, stream, "websocket", "--to", f"127.0.0.1:{free_port()}")
    listening = client(start, url_of(program))
    listening.json()
    program.process.terminate()
    assert program.process.wait(20) == 0
    assert listening.process.wait(20) == 0  # it was told: closed, not cut
