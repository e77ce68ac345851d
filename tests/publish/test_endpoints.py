"""Which endpoints and keys are refused before anything starts."""

from __future__ import annotations

import json

import pytest
import zmq
from processes import egostream

from egostream.publish.endpoints import is_loopback


def test_loopback_is_recognised():
    inside = ["tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://127.8.9.1:1", "tcp://[::1]:1", "ipc:///tmp/x"]
    outside = [
        "tcp://0.0.0.0:1",
        "tcp://*:1",
        "tcp://192.168.1.2:1",
        "tcp://eth0:1",
        "tcp://[::]:1",
        "tcp://127.0.0.1.evil.org:1",
        "udp://127.0.0.1:1",
    ]
    assert all(map(is_loopback, inside)) and not any(map(is_loopback, outside))


def test_client_keys_must_hold_a_key(tmp_path):
    keys = json.loads(egostream("keys", "-o", str(tmp_path / "keys"), "--json").stdout)
    done = egostream("run", "--server-key", keys["secret"], "--client-keys", str(tmp_path))
    assert done.returncode == 1 and "nobody could connect" in done.stderr
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "a.key").write_text("no certificate")
    spoilt = egostream("run", "--server-key", keys["secret"], "--client-keys", str(tmp_path / "clients"))
    assert spoilt.returncode == 1 and "a.key is not a CURVE certificate" in spoilt.stderr
    (tmp_path / "bad.key_secret").write_text('curve\n  public-key = "short"\n  secret-key = "short"\n')
    malformed = egostream("run", "--server-key", str(tmp_path / "bad.key_secret"))
    assert malformed.returncode == 1 and "CURVE keys have 40 characters" in malformed.stderr
    alone = egostream("echo", "--client-key", keys["secret"])
    assert alone.returncode == 1 and "needs the server's public key" in alone.stderr
    public = egostream("run", "--server-key", keys["public"])
    assert public.returncode == 1 and "ends in .key_secret" in public.stderr


@pytest.mark.parametrize("endpoint", ["publish", "control"])
def test_a_taken_port_is_one_clear_line(pipeline, endpoint):
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        socket.bind("tcp://127.0.0.1:15573")
        run = pipeline(**{endpoint: "tcp://127.0.0.1:15573"})
        assert run.wait(30) == 1
    last = run.output().strip().splitlines()[-1]
    assert (
        last == f"egostream: {endpoint} endpoint tcp://127.0.0.1:15573 is taken by another program "
        f"(another egostream run?). Choose another: --{endpoint} tcp://127.0.0.1:PORT"
    )
