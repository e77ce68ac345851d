"""Head messages over a real socket: what is taken, and what is refused, counted and said once."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import msgpack
import numpy as np
import pytest
import zmq
from processes import wait_for
from senders import free_port

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.head.receiver import ADVICE, HeadReceiver
from egostream.head.sender import HeadPose, HeadSender
from egostream.publish.curve import make_keys
from egostream.publish.endpoints import check_endpoint
from egostream.publish.message import clock_offset_ns

HOUR_NS = 3600 * 10**9
HERE = {"position": [0.0, 1.7, 0.0], "orientation": [0.0, 0.0, 0.0, 1.0]}


def fields(**changes) -> dict:
    values = {"v": 1, "stream": "0", "t_ns": time.monotonic_ns(), "clock_offset_ns": clock_offset_ns()}
    return {**values, "frame": "openxr", **HERE, "space": "test", **changes}


class Line:
    """A receiver, and a plain socket that sends to it."""

    def __init__(self, folder):
        self.context, self.said = zmq.Context(), []
        endpoint = f"ipc://{folder}/head"
        self.receiver = HeadReceiver(RunConfig(head=endpoint), self.context, ["0", "left"], self.said.append)
        self.socket = self.context.socket(zmq.PUB)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.head = self.receiver.heads["0"]
        assert wait_for(lambda: self.send(b"head/0\0") or self.head.received)  # until the subscription has arrived
        self.forget()

    def forget(self) -> None:
        time.sleep(0.1)
        self.receiver.poll()
        self.head.received = 0
        self.head.refused.clear()
        self.said.clear()

    def send(self, data: bytes) -> None:
        self.socket.send(data)
        time.sleep(0.01)
        self.receiver.poll()

    def deliver(self, map: dict, stream: str = "0") -> None:
        """Send a map and wait until it was looked at."""
        head = self.receiver.heads[stream]
        before = head.received
        self.socket.send(f"head/{stream}\0".encode() + msgpack.packb(map))
        assert wait_for(lambda: self.receiver.poll() or head.received > before)

    def close(self) -> None:
        self.socket.close()
        self.receiver.close()
        self.context.term()


@pytest.fixture
def line(tmp_path):
    one = Line(tmp_path)
    yield one
    one.close()


def test_poses_are_kept_for_their_stream(line):
    t_ns = time.monotonic_ns()
    line.deliver(fields(t_ns=t_ns, later={"keys": [1]}))
    line.deliver(fields(stream="left", position=[1.0, 2.0, 3.0]), "left")
    assert line.head.track.at(t_ns).position.tolist() == [0.0, 1.7, 0.0] and line.head.track.newest.space == "test"
    assert line.receiver.heads["left"].track.newest.position.tolist() == [1.0, 2.0, 3.0]
    assert not line.said and not line.head.refused


def test_a_clock_that_began_elsewhere_is_compared_by_wall_clocks(line):
    t_ns = time.monotonic_ns()
    line.deliver(fields(t_ns=t_ns + HOUR_NS, clock_offset_ns=clock_offset_ns() - HOUR_NS))
    assert abs(line.head.track.newest.t_ns - t_ns) < 50_000_000


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("other clock", {"t_ns": 5}),
        ("other clock", {"t_ns": time.monotonic_ns() + HOUR_NS}),
        ("other clock", {"clock_offset_ns": 0}),
        ("not a number", {"position": [float("nan"), 0.0, 0.0]}),
        ("not a number", {"orientation": [float("inf"), 0.0, 0.0, 1.0]}),
        ("not a number", {"position": [0.0, 1e300, 0.0]}),
        ("not a rotation", {"orientation": [0.0, 0.0, 0.0, 0.0]}),
        ("not a rotation", {"orientation": [3.0, 0.0, 0.0, 4.0]}),
        ("axes", {"frame": "unity"}),
        ("malformed", {"position": [0.0, 1.0]}),
        ("malformed", {"orientation": "up"}),
        ("malformed", {"v": 2}),
        ("malformed", {"t_ns": 0.5}),
        ("no gravity", {"position": None, "orientation": None, "gravity": [0.0, 0.0, 0.0]}),
        ("malformed", {"position": None, "orientation": None}),
        ("malformed", {"orientation": None}),
    ],
)
def test_what_is_wrong_is_refused_counted_and_said_once(line, reason, change):
    map = {key: value for key, value in fields(**change).items() if value is not None}
    for _ in range(3):
        line.deliver(map)
    assert line.head.refused == {reason: 3} and line.head.received == 3
    assert len(line.said) == 1 and reason in line.said[0] and ADVICE[reason] in line.said[0]
    assert line.head.track.newest is None and line.head.gravity is None
    line.deliver(fields())
    assert line.head.track.newest is not None


def test_stamps_that_do_not_grow_and_jumps_are_refused(line):
    t_ns = time.monotonic_ns()
    for change in ({"t_ns": t_ns}, {"t_ns": t_ns}, {"t_ns": t_ns + 10, "position": [9.0, 0.0, 0.0]}):
        line.deliver(fields(**change))
    assert line.head.refused == {"out of order": 1, "jump": 1}


def test_garbage_is_counted(line):
    for garbage in (b"", b"\xff" * 100, b"\x91" * 3000, b"\x81\xa1a" * 1300, msgpack.packb([1])):
        before = line.head.received
        line.socket.send(b"head/0\0" + garbage)
        assert wait_for(lambda before=before: line.receiver.poll() or line.head.received > before)
    assert line.head.refused == {"malformed": 5}


@pytest.mark.parametrize("gravity", [[0.0, -9.81, 0.0], [0.0, -1.0, 0.0]])
def test_gravity_alone_is_kept(line, gravity):
    map = fields(gravity=gravity)
    del map["position"], map["orientation"]
    line.deliver(map)
    assert line.head.gravity[1].tolist() == [0.0, -1.0, 0.0]


def test_an_orientation_without_a_place_tells_gravity(line):
    map = fields(orientation=[np.sin(0.25), 0.0, 0.0, np.cos(0.25)])  # looks up by half a radian
    del map["position"]
    line.deliver(map)
    assert np.allclose(line.head.gravity[1], [0.0, -np.cos(0.5), np.sin(0.5)])


def test_an_endpoint_that_is_taken_names_the_flag(line, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as context:
        first = HeadReceiver(RunConfig(head=endpoint), context, ["0"], print)
        with pytest.raises(EgostreamError, match="--head"):
            HeadReceiver(RunConfig(head=endpoint), context, ["0"], print)
        first.close()


def test_a_sender_knows_whether_a_run_listens(tmp_path):
    endpoint = f"ipc://{tmp_path}/head"
    with HeadSender(endpoint, ["0", "1"]) as sender, zmq.Context() as context:
        assert not sender.is_heard(0.1)
        receiver = HeadReceiver(RunConfig(head=endpoint), context, ["0"], print)
        assert wait_for(lambda: receiver.poll() or sender.is_heard(0.1))
        sender.send(HeadPose(np.array([1.0, 2, 3], np.float32), (0, 0, 0, 1)), time.monotonic_ns())
        assert wait_for(lambda: receiver.poll() or receiver.heads["0"].track.newest)
        receiver.close()


def test_with_a_key_only_those_who_have_the_servers_are_heard(tmp_path):
    public, secret = make_keys(tmp_path / "keys", "server")
    endpoint = f"ipc://{tmp_path}/head"
    with zmq.Context() as context:
        receiver = HeadReceiver(RunConfig(head=endpoint, server_key=str(secret)), context, ["0"], print)
        with HeadSender(endpoint, ["0"]) as plain, HeadSender(endpoint, ["0"], str(public)) as encrypted:
            assert wait_for(lambda: receiver.poll() or encrypted.is_heard(0.1))
            for sender in (plain, encrypted):
                sender.send(HeadPose((0, float(sender is encrypted), 0), (0, 0, 0, 1)), time.monotonic_ns())
            assert wait_for(lambda: receiver.poll() or receiver.heads["0"].track.newest)
            assert receiver.heads["0"].received == 1 and receiver.heads["0"].track.newest.position[1] == 1.0
            assert not plain.is_heard(0.1)
        receiver.close()


def test_an_endpoint_for_strangers_needs_a_key():
    with pytest.raises(EgostreamError, match="head endpoint tcp://0.0.0.0:5572 can be reached from outside"):
        check_endpoint("head", "tcp://0.0.0.0:5572", RunConfig())


def test_a_sender_refuses_an_endpoint_that_is_none():
    with pytest.raises(EgostreamError, match="tcp://127.0.0.1:5572"):
        HeadSender("nowhere", ["0"])


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is limited on Windows")
def test_strangers_without_number_are_turned_away_and_the_headset_stays():
    port = free_port()
    with zmq.Context() as context, contextlib.ExitStack() as strangers:
        receiver = HeadReceiver(RunConfig(head=f"tcp://127.0.0.1:{port}"), context, ["0"], print)
        receiver.limit.most = 10
        with HeadSender(f"tcp://127.0.0.1:{port}", ["0"]) as headset:
            assert wait_for(lambda: receiver.poll() or headset.is_heard(0.1))
            for _ in range(40):
                strangers.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            assert wait_for(lambda: receiver.limit.refused == 31)
            headset.send(HeadPose((0, 1.6, 0), (0, 0, 0, 1)), time.monotonic_ns())
            assert wait_for(lambda: receiver.poll() or receiver.heads["0"].received == 1)
        receiver.close()


def test_a_message_that_is_too_long_resets_its_sender_alone(line):
    line.socket.send(b"head/0\0" + bytes(100_000))
    assert wait_for(lambda: line.send(b"head/0\0" + msgpack.packb(fields())) or line.head.track.newest)
    assert line.head.refused.get("malformed", 0) == 0
