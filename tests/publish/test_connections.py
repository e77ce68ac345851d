"""Connections without number: a socket takes so many, and those who were there before are served on."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import zmq
from processes import wait_for

from egostream.config import RunConfig
from egostream.publish import connections
from egostream.publish.connections import FEWEST_PEERS, OWN_FILES, PeerLimit, most_peers
from egostream.publish.publisher import Publisher
from egostream.types import Pose

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is limited on Windows")
POSE = Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15))


def free_port() -> int:
    """A TCP port of this machine that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connected(port: int, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Connections that say nothing."""
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)) for _ in range(count)]


def is_closed(peer: socket.socket) -> bool:
    """Whether the other side has closed a connection."""
    peer.settimeout(0)
    try:
        while peer.recv(1000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def receives(publisher: Publisher, subscriber: zmq.Socket) -> bool:
    """Whether a pose gets to a subscriber within ten seconds."""
    return wait_for(lambda: publisher.publish_pose("0", POSE, 0) is not None and subscriber.poll(20))


def test_silent_strangers_are_turned_away_and_subscribers_stay(monkeypatch):
    monkeypatch.setattr(connections, "MOST_PEERS", 256)
    port = free_port()
    publisher = Publisher(RunConfig(publish=f"tcp://127.0.0.1:{port}"), "weights")
    publisher.limit.most = 12
    with zmq.Context() as context, contextlib.ExitStack() as silent, context.socket(zmq.SUB) as early:
        early.subscribe(b"")
        early.connect(f"tcp://127.0.0.1:{port}")
        assert receives(publisher, early)
        strangers = connected(port, 100, silent)
        assert wait_for(lambda: publisher.limit.refused == 89)
        assert wait_for(lambda: sum(map(is_closed, strangers)) >= 89)
        while early.poll(0):
            early.recv()
        assert receives(publisher, early)
        silent.close()
        with context.socket(zmq.SUB) as late:
            late.subscribe(b"")
            late.connect(f"tcp://127.0.0.1:{port}")
            assert receives(publisher, late)
        early.linger = 0
    publisher.close()


def test_a_unix_socket_and_one_that_is_bound_again_are_limited_too(tmp_path):
    with zmq.Context() as context:
        for _ in range(2):
            with context.socket(zmq.PULL) as pull:
                limit = PeerLimit(pull, 3)
                pull.bind(f"ipc://{tmp_path}/socket")
                with contextlib.ExitStack() as stack:
                    peers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(8)]
                    for peer in peers:
                        peer.connect(f"{tmp_path}/socket")
                    assert wait_for(lambda: sum(map(is_closed, peers)) == 5)  # noqa: B023
                assert wait_for(lambda: not limit.peers)  # noqa: B023
                limit.close()


def test_a_descriptor_that_is_another_file_by_now_stays_open(tmp_path):
    with open(tmp_path / "file", "w") as file, socket.create_server(("127.0.0.1", 0)) as listening:
        for one in (file.fileno(), listening.fileno(), 9999):
            connections.end_connection(one)
        file.write("still open")
        socket.create_connection(listening.getsockname()).close()
        listening.accept()[0].close()


@pytest.mark.parametrize(("files", "peers"), [(1024, 256), (256, 256 - OWN_FILES), (100, FEWEST_PEERS)])
def test_few_files_mean_few_peers(monkeypatch, files, peers):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    assert most_peers() == peers
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert most_peers() == connections.MOST_PEERS


CROWDED = """
import resource, subprocess, sys
import zmq
from egostream.publish.connections import PeerLimit, most_peers, raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (230, 256))
raise_file_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, 256)
socket = zmq.Context().socket(zmq.XPUB)
limit = PeerLimit(socket, most_peers())
print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
for line in sys.stdin:
    print(subprocess.run(["true"]).returncode, len(limit.peers), flush=True)
"""


def test_a_process_with_few_files_can_still_start_children_amid_a_thousand_connections():
    crowded = subprocess.Popen(
        [sys.executable, "-c", CROWDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        port, answers = int(crowded.stdout.readline()), []
        with contextlib.ExitStack() as silent:
            for _ in range(10):
                connected(port, 100, silent)
                crowded.stdin.write("\n")
                answers.append(crowded.stdout.readline().split())
        assert all(returned == "0" and int(peers) <= 64 for returned, peers in answers), answers
    finally:
        crowded.kill()
        crowded.communicate()


def test_a_publisher_that_cuts_all_off_limits_them_again(tmp_path):
    publisher = Publisher(RunConfig(publish=f"ipc://{tmp_path}/poses"), "weights")
    before = publisher.limit
    publisher.cut_off_all()
    assert publisher.limit is not before and not before.thread.is_alive() and publisher.limit.thread.is_alive()
    publisher.close()
    assert not publisher.limit.thread.is_alive()
