"""Sizes that strangers choose: what a peer may make a publisher keep, by message, by number, by silence."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import zmq
from conftest import ROOT
from raw_peers import COMMAND, RawPeer, frame_head, greeting

from egostream.config import RunConfig
from egostream.publish import curve
from egostream.publish.publisher import HANDSHAKE_MS, Publisher
from egostream.types import Pose

POSE = Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15))
MIB = 1 << 20


def free_endpoint() -> str:
    """A port of this machine that nobody has just now."""
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}"


@pytest.fixture(params=["clear", "encrypted"])
def publisher(request, tmp_path):
    """A publisher on TCP, in the clear or with CURVE."""
    key = "" if request.param == "clear" else str(curve.make_keys(tmp_path, "server")[1])
    made = Publisher(RunConfig(publish=free_endpoint(), server_key=key), "weights")
    yield made, key.removesuffix("_secret")
    made.close()


def memory() -> int:
    """Bytes of this process in memory."""
    return psutil.Process().memory_info().rss


def subscriber(context: zmq.Context, endpoint: str, server_key: str) -> zmq.Socket:
    """A SUB socket with a key where one is needed, not connected yet."""
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    if server_key:
        curve.join(socket, server_key)
    return socket


def receives(publisher: Publisher, socket: zmq.Socket) -> bool:
    """Whether a pose that is published over and over gets to a subscriber within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        publisher.publish_pose("0", POSE, 0)
        if socket.poll(20):
            return True
    return False


def test_subscribers_of_what_the_run_has_receive_it(publisher):
    published, key = publisher
    with zmq.Context() as context:
        for prefix in (b"", b"pose/", b"pose/0\0"):
            with subscriber(context, published.socket.last_endpoint, key) as socket:
                socket.subscribe(prefix)
                socket.connect(published.socket.last_endpoint)
                assert receives(published, socket)
        with subscriber(context, published.socket.last_endpoint, key) as socket:
            socket.subscribe(b"pose/other\0")
            socket.connect(published.socket.last_endpoint)
            for _ in range(25):
                published.publish_pose("0", POSE, 0)
                assert not socket.poll(20)


def test_an_unsubscribed_client_receives_no_more(publisher):
    published, key = publisher
    with zmq.Context() as context, subscriber(context, published.socket.last_endpoint, key) as socket:
        socket.subscribe(b"pose/0\0")
        socket.connect(published.socket.last_endpoint)
        assert receives(published, socket)
        socket.unsubscribe(b"pose/0\0")
        time.sleep(0.2)
        published.admit()
        while socket.poll(0):
            socket.recv()
        published.publish_pose("0", POSE, 0)
        assert not socket.poll(200)


@pytest.mark.parametrize("mechanism", [b"NULL", b"CURVE"])
def test_a_peer_without_a_key_cannot_fill_the_memory(publisher, mechanism):
    """It announces a frame of 16 GiB where a command is due, and sends as much of it as is taken."""
    published, _ = publisher
    endpoint, before = published.socket.last_endpoint.decode(), memory()
    with RawPeer(endpoint) as peer:
        peer.socket.sendall(greeting(mechanism) + frame_head(COMMAND, 16 << 30))
        peer.send(bytes(MIB), 256 * MIB)
        assert peer.is_cut_off()
    assert memory() - before < 64 * MIB


#: Sends eight messages of 50 MiB, and says when it was cut off.
GREEDY = """
import sys, time, zmq
from egostream.publish import curve
socket = zmq.Context().socket(zmq.XSUB)
socket.linger = 0
if sys.argv[2]:
    curve.join(socket, sys.argv[2])
events = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
socket.connect(sys.argv[1])
for _ in range(8):
    socket.send(b"\\7" + bytes(50 << 20))
    time.sleep(0.05)
print("cut off" if events.poll(10_000) else "listened to", flush=True)
"""


def test_a_client_with_a_key_cannot_send_long_messages(publisher):
    published, key = publisher
    with zmq.Context() as context, subscriber(context, published.socket.last_endpoint, key) as good:
        good.subscribe(b"")
        good.connect(published.socket.last_endpoint)
        assert receives(published, good)
        before = memory()
        command = [sys.executable, "-c", GREEDY, published.socket.last_endpoint, key]
        greedy = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        while greedy.poll() is None:
            published.publish_pose("0", POSE, 0)
            time.sleep(0.05)
        assert greedy.stdout.read() == "cut off\n"
        while good.poll(0):
            good.recv()
        assert receives(published, good)
    assert memory() - before < 200 * MIB  # of 400 that were sent


FLOOD = """
import sys, zmq
context = zmq.Context()
socket = context.socket(zmq.XSUB)
socket.sndhwm = 0
socket.connect(sys.argv[1])
for n in range(300_000):
    socket.send(b"\\1topic %d" % n)
print("done", flush=True)
input()
"""


def test_subscriptions_without_end_are_not_kept(tmp_path):
    """300,000 topics of another process, while poses go out sixty times a second."""
    published = Publisher(RunConfig(publish=free_endpoint()), "weights")
    endpoint = published.socket.last_endpoint.decode()
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert flood.stdout.readline() == b"done\n"
        before = memory()
        for _ in range(200):
            published.publish_pose("0", POSE, 0)
            time.sleep(1 / 60)
        assert memory() - before < 16 * MIB
        with zmq.Context() as context, subscriber(context, endpoint, "") as good:
            good.subscribe(b"pose/0\0")
            good.connect(endpoint)
            assert receives(published, good)
    finally:
        flood.kill()
        flood.communicate()
        published.close()


def test_a_peer_that_says_nothing_loses_its_place(publisher):
    published, _ = publisher
    with RawPeer(published.socket.last_endpoint.decode()) as silent:
        silent.socket.settimeout(3 * HANDSHAKE_MS / 1000)
        assert silent.is_cut_off()
