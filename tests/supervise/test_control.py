"""The control socket of a real run."""

from __future__ import annotations

import json
import threading
import time

import msgspec
import pytest
import zmq
from processes import egostream, wait_for

from egostream.capture.sources import SAMPLE
from egostream.errors import EgostreamError
from egostream.publish.control import ControlClient, request
from egostream.supervise.control import ControlServer


def test_control_requests_and_garbage(pipeline):
    run = pipeline()
    with run.subscribe() as poses:
        run.wait_first(poses)
        assert request(run.control, {"cmd": "ping"})["ok"]
        assert request(run.control, {"cmd": "status"})["camera"] == "streaming"
        assert request(run.control, {"cmd": "reset"})["ok"]
        assert wait_for(lambda: poses.status(1.0).window_resets >= 1)
        assert_pictures_are_the_sources_own(run)
        assert "unknown cmd" in request(run.control, {"cmd": "rm -rf"})["error"]
        with zmq.Context() as context:
            for garbage in (
                [b""],
                [b"\xff" * 100],
                [b"\x93\x01\x02\x03"],
                [b"a", b"b", b"c"],
                [b"x" * 100_000],
                [b"\x81" * 3000],
                [b"\x81\xa3cmd" + b"\x91" * 980 + b"\x90"],  # decodes; its repr is deeper than Python goes
                [msgspec.msgpack.encode({"cmd": "status", "stream": {"a": [1]}})],
                [msgspec.msgpack.encode({"cmd": "x" * 4000})],
                [msgspec.msgpack.encode({"cmd": "pictures", "after": float("nan")})],
            ):
                with context.socket(zmq.REQ) as socket:
                    socket.linger = 0
                    socket.connect(run.control)
                    socket.send_multipart(garbage)
                    assert not socket.poll(300) or len(socket.recv()) < 4096
            with context.socket(zmq.PUSH) as socket:  # not even the right kind of socket
                socket.linger = 0
                socket.connect(run.control)
                socket.send(b"hello", zmq.DONTWAIT) if socket.poll(300, zmq.POLLOUT) else None
        assert request(run.control, {"cmd": "ping"})["ok"]
        assert poses.newest(2.0) is not None
        told = egostream("status", "--control", run.control, "--json")
        assert told.returncode == 0 and json.loads(told.stdout)["0"]["camera"] == "streaming"
        assert "stream 0: camera streaming" in egostream("status", "--control", run.control).stdout
        assert request(run.control, {"cmd": "stop"})["ok"]
    assert run.wait(10) == 0
    assert "Traceback" not in run.output()
    gone = egostream("status", "--control", run.control)
    assert gone.returncode == 1 and "no answer from" in gone.stderr


def test_all_that_waits_is_answered_within_one_tick(tmp_path):
    """Pages that watch pictures ask many times a second, which a supervisor's tick is too long for."""
    endpoint = f"ipc://{tmp_path}/control"
    server = ControlServer(endpoint, lambda request: {"ok": True, "n": request["n"]})
    answers: list[int] = []

    def ask():
        with ControlClient(endpoint) as client:
            answers.extend(client.ask({"n": n})["n"] for n in range(20))

    asking = threading.Thread(target=ask)
    asking.start()
    deadline, most = time.monotonic() + 30, 0
    while asking.is_alive() and time.monotonic() < deadline:
        before = len(answers)
        server.poll(0.5)
        most = max(most, len(answers) - before)
    asking.join()
    server.close()
    assert answers == list(range(20)) and most > 5


def test_a_request_without_an_envelope_holds_nothing_up(tmp_path):
    """libzmq announces what a peer of another kind sends, and drops it: whoever waits for it then waits for ever."""
    endpoint = f"ipc://{tmp_path}/control"
    server = ControlServer(endpoint, lambda request: {"ok": True})
    with zmq.Context() as context, context.socket(zmq.DEALER) as odd:
        odd.linger = 0
        odd.connect(endpoint)
        for parts in ([b"x" * 200], [b"a", b"b"], [b""]) * 5:
            odd.send_multipart(parts)
        polling = threading.Thread(target=server.poll, args=(1.0,), daemon=True)  # one that hangs must not hang us
        polling.start()
        polling.join(20)
        assert not polling.is_alive()
    server.close()


def test_a_socket_of_another_kind_gives_no_answer_instead_of_hanging(tmp_path):
    endpoint, context = f"ipc://{tmp_path}/poses", zmq.Context()
    with context.socket(zmq.PUB) as publisher, ControlClient(endpoint, timeout_s=0.2) as client:
        publisher.bind(endpoint)
        for _ in range(4):  # the first may still be taken, before the two have met
            with pytest.raises(EgostreamError, match="no answer from"):
                client.ask({"cmd": "ping"})
    context.term()


def assert_pictures_are_the_sources_own(run):
    """Whoever asks gets the clip's own JPEGs, the newest or all, and an error for what is no request."""
    clip = SAMPLE.read_bytes()
    with ControlClient(run.control) as client:
        assert wait_for(lambda: client.pictures("0")[0] != [])
        newest = client.pictures("0")[0][-1]
        assert wait_for(lambda: len(client.pictures("0", after=newest.number)[0]) > 3)
        later, lost = client.pictures("0", after=newest.number, is_exact=True)
        assert [one.number for one in later] == list(range(newest.number + 1, newest.number + 1 + len(later)))
        assert all(one.format == "jpeg" and one.data in clip for one in later) and lost == 0
        kept = later[-1]
        assert client.pictures("0", seq=kept.seq)[0] == [kept] and client.pictures("0", seq=-1)[0][0].seq >= kept.seq
        assert not client.ask({"cmd": "pictures", "after": "all"})["ok"]
        with pytest.raises(EgostreamError, match="no stream 'other'"):
            client.pictures("other")
