"""Recorded messages sent again, as a client gets them."""

from __future__ import annotations

import threading

import msgspec
import pytest
import zmq
from made_recordings import FRAME_NS, write_recording

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber
from egostream.publish.message import unpack
from egostream.replay.messages import moved, publish_recording


@pytest.fixture
def recording(tmp_path):
    return tmp_path / "made.mcap", write_recording(tmp_path / "made.mcap", count=10, streams=("left", "right"))


class Sending:
    """A recording being sent over and over, in a thread."""

    def __init__(self, path, endpoint, streams=(), as_recorded=False):
        self.is_told, self.sent = False, None
        arguments = path, list(streams), RunConfig(publish=endpoint, loop=True), as_recorded, lambda: self.is_told

        def send() -> None:
            self.sent = publish_recording(*arguments)

        self.thread = threading.Thread(target=send, daemon=True)
        self.thread.start()

    def end(self):
        self.is_told = True
        self.thread.join(10)
        return self.sent


def test_poses_come_as_from_a_camera_that_runs_now(recording, tmp_path):
    path, poses = recording
    sending = Sending(path, f"ipc://{tmp_path}/poses")
    with PoseSubscriber(f"ipc://{tmp_path}/poses", "right", every=True) as subscriber:
        received = [subscriber.newest(10.0) for _ in range(6)]
    sent = sending.end()
    known = {pose.seq: pose for pose in poses if pose.stream == "right"}
    for pose in received:
        assert pose.message.joints == known[pose.seq].joints and pose.same_clock
        was = known[pose.seq].t_publish_ns - known[pose.seq].t_capture_ns
        assert pose.message.t_publish_ns - pose.t_capture_ns == was  # as old as it was when it was sent
    assert sent.poses >= 6 and sent.statuses == 0
    steps = [b.t_capture_ns - a.t_capture_ns for a, b in zip(received, received[1:]) if b.seq > a.seq]
    assert set(steps) == {FRAME_NS}


def test_as_recorded_is_byte_for_byte(recording, tmp_path):
    path, poses = recording
    sending = Sending(path, f"ipc://{tmp_path}/poses", ["left"], as_recorded=True)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.subscribe(b"")
        socket.connect(f"ipc://{tmp_path}/poses")
        assert socket.poll(10_000)
        data = [socket.recv() for _ in range(4)]
    sending.end()
    assert all(unpack(one) in poses and unpack(one).stream == "left" for one in data)


def test_keys_that_are_not_known_stay():
    wire = b"pose/0\0" + msgspec.msgpack.encode({"v": 1, "t_capture_ns": 5, "t_publish_ns": 9, "new": [1]})
    fields = msgspec.msgpack.decode(moved(wire, 100).partition(b"\0")[2])
    assert (fields["t_capture_ns"], fields["t_publish_ns"], fields["new"], fields["v"]) == (105, 109, [1], 1)


def test_it_ends_with_the_file_and_refuses_what_is_not_there(recording, tmp_path):
    path, _ = recording
    config = RunConfig(publish=f"ipc://{tmp_path}/poses")
    assert publish_recording(path, [], config, False, lambda: False).poses == 20
    with pytest.raises(EgostreamError, match="no stream 'middle'"):
        publish_recording(path, ["middle"], config, False, lambda: False)
