"""Unix sockets: no file is deleted, no run is taken over, a killed run's leftovers are no obstacle."""

from __future__ import annotations

import os
import socket
import stat

import pytest
import zmq

from egostream.errors import EgostreamError
from egostream.publish.control import ControlClient
from egostream.publish.endpoints import LONGEST_IPC, bind


@pytest.fixture
def rep():
    with zmq.Context() as context, context.socket(zmq.REP) as made:
        made.linger = 0
        yield made


def test_a_private_socket_is_its_users_alone_and_so_is_a_new_folder(rep, tmp_path):
    path = tmp_path / "new" / "control"
    bind(rep, f"ipc://{path}", "control", is_private=True)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_at_that_path_is_left_as_it_is(rep, tmp_path):
    path = tmp_path / "thesis.txt"
    path.write_text("three years")
    with pytest.raises(EgostreamError, match="is the path of a file, which is left as it is"):
        bind(rep, f"ipc://{path}", "publish")
    assert path.read_text() == "three years"


def test_a_folder_at_that_path_is_refused(rep, tmp_path):
    with pytest.raises(EgostreamError, match="left as it is"):
        bind(rep, f"ipc://{tmp_path}", "publish")


def test_the_socket_of_a_live_run_is_not_taken_over(rep, tmp_path):
    path = tmp_path / "poses"
    bind(rep, f"ipc://{path}", "publish")
    with zmq.Context() as context, context.socket(zmq.REP) as second:
        with pytest.raises(EgostreamError, match="taken by another program"):
            bind(second, f"ipc://{path}", "publish")
        with context.socket(zmq.REQ) as asker:
            asker.linger = 0
            asker.connect(f"ipc://{path}")
            asker.send(b"still there?")
            assert rep.poll(5000) and rep.recv() == b"still there?"


def test_what_a_killed_run_left_is_no_obstacle(rep, tmp_path):
    path = tmp_path / "poses"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    assert path.exists()
    bind(rep, f"ipc://{path}", "publish")


def test_a_path_that_is_too_long_is_refused_by_name(rep, tmp_path):
    with pytest.raises(EgostreamError, match=f"longer than the {LONGEST_IPC} bytes"):
        bind(rep, f"ipc://{tmp_path}/{'x' * 120}", "control")


def test_a_folder_that_cannot_be_made_is_one_line(rep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EgostreamError, match="cannot be used|is the path of a file"):
        bind(rep, f"ipc://{tmp_path}/file/deeper/control", "control")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder another user's")
def test_a_private_socket_in_another_users_folder_is_refused(rep, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(EgostreamError, match="a folder of another user's"):
        bind(rep, f"ipc://{theirs}/control", "control", is_private=True)


def test_ipv6_loopback_can_be_bound_and_reached(rep):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    bind(rep, f"tcp://[::1]:{port}", "control", is_private=True)
    with ControlClient(f"tcp://[::1]:{port}") as client:
        client.socket.send(b"hello")
        assert rep.poll(5000) and rep.recv() == b"hello"
