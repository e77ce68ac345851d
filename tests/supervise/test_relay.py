"""Control by TCP: what no peer may do to the supervisor, and what every peer still can."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

import psutil
import pytest
from processes import wait_for
from raw_peers import COMMAND, MORE, RawPeer, frame_head

from egostream.errors import EgostreamError
from egostream.publish.control import ControlClient
from egostream.supervise import relay
from egostream.supervise.control import ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no relay on Windows")
MIB = 1 << 20
LARGE = bytes(3 * MIB)
PING = bytes([COMMAND, 7]) + b"\x04PING\0\0"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A control server by TCP, and its endpoint."""
    monkeypatch.setenv("EGOSTREAM_RUNTIME", str(tmp_path))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    made, is_over = ControlServer(endpoint, answer), threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            made.poll(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    yield made, endpoint
    is_over.set()
    thread.join()
    made.close()
    assert not list(tmp_path.iterdir())


def answer(request: dict) -> dict:
    """The same number back, and what was asked for."""
    return {"ok": True, "n": request.get("n"), "data": LARGE if request.get("large") else b""}


def test_requests_are_answered_as_on_the_unix_socket(server):
    _, endpoint = server
    with ControlClient(endpoint) as client, ControlClient(endpoint) as other:
        for n in range(300):
            assert client.ask({"n": n})["n"] == n and other.ask({"n": -n})["n"] == -n
        assert client.ask({"large": True})["data"] == LARGE


def test_an_answer_is_told_from_signs_of_life_wherever_the_bytes_are_cut():
    pong, reply = bytes([COMMAND, 5]) + b"\x04PONG", b"\x01\x00" + frame_head(0, 300) + bytes(300)
    sent = bytes(relay.GREETING) + pong + pong
    for step in (1, 7, 1000):
        account = relay.Account(unanswered=5)
        for at in range(0, len(sent), step):
            account.answer(sent[at : at + step])
        assert account.unanswered == 5
        for at in range(0, len(reply), step):
            account.answer(reply[at : at + step])
        assert account.unanswered == 0 and not account.left and not account.head
        account.unanswered = 5
        account.answer(pong)
        assert account.unanswered == 5


@pytest.mark.parametrize("between", [b"", PING], ids=["parts", "parts and signs of life, which are answered"])
def test_a_request_without_end_is_cut_off(server, between):
    _, endpoint = server
    before = psutil.Process().memory_info().rss
    with RawPeer(endpoint) as peer:
        peer.shake_hands(b"REQ")
        part = frame_head(MORE, 4000) + bytes(4000) + between
        assert peer.send(part, 64 * MIB) < 16 * MIB
        assert peer.is_cut_off()
    assert psutil.Process().memory_info().rss - before < 32 * MIB
    with ControlClient(endpoint) as client:
        assert client.ask({"n": 1})["ok"]


def test_connections_without_number_leave_places_for_who_was_there_and_for_who_comes_later(server):
    made, endpoint = server
    address = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    with ControlClient(endpoint, timeout_s=10) as early, contextlib.ExitStack() as silent:
        assert early.ask({})["ok"]
        for _ in range(300):
            silent.enter_context(socket.create_connection(address, timeout=5))
        assert wait_for(lambda: made.relay.peers == relay.MOST_PEERS)
        assert early.ask({})["ok"]
        assert wait_for(lambda: made.relay.peers <= 1)  # they introduced themselves too late
        with ControlClient(endpoint, timeout_s=10) as late:
            assert late.ask({})["ok"]


def is_answered(client: ControlClient) -> bool:
    try:
        return client.ask({"n": 2})["n"] == 2
    except EgostreamError:
        return False


def test_who_says_nothing_more_loses_its_place(server, monkeypatch):
    monkeypatch.setattr(relay, "IDLE_S", 0.2)
    made, endpoint = server
    with ControlClient(endpoint, timeout_s=1) as client:
        assert wait_for(lambda: is_answered(client))
        assert wait_for(lambda: made.relay.peers == 0)
        assert wait_for(lambda: is_answered(client))  # what was sent while the old connection ended is lost


def test_a_port_that_is_taken_is_one_line(server):
    _, endpoint = server
    with pytest.raises(EgostreamError, match="Choose another: --control tcp://127.0.0.1:PORT"):
        ControlServer(endpoint, answer)
