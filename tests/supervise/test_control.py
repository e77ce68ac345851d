"""The control socket of a real run."""

from __future__ import annotations

import json

import msgspec
import pytest
import zmq
from processes import egostream, wait_for

from egostream.capture.sources import SAMPLE
from egostream.errors import EgostreamError
from egostream.publish.control import ControlClient, request


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
        assert not client.ask({"cmd": "pictures", "after": "all"})["ok"]
        with pytest.raises(EgostreamError, match="no stream 'other'"):
            client.pictures("other")
