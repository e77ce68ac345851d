"""Subscribers of a real run: none slows it, and each gets the newest pose."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import msgpack
import zmq
from conftest import ROOT

from egostream.graph.default_weights import default_weights

PUBLISH_MANY = """
import sys
import numpy as np
from egostream.config import RunConfig
from egostream.publish.publisher import Publisher
from egostream.types import Pose
publisher = Publisher(RunConfig(publish=sys.argv[1]), "weights")
input()
pose = Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15))
for n in range(20_000):
    publisher.publish_pose('0', pose, 0)
print("done", flush=True)
input()
"""


def test_a_subscriber_that_never_reads_slows_nothing(tmp_path):
    """24 MB for a client whose buffers hold a few kB: a publisher that ever waited for it would wait for ever."""
    endpoint = f"ipc://{tmp_path}/poses"
    child = subprocess.Popen(
        [sys.executable, "-c", PUBLISH_MANY, endpoint],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with zmq.Context() as context, context.socket(zmq.SUB) as deaf:
        deaf.linger, deaf.rcvhwm = 0, 1
        deaf.setsockopt(zmq.RCVBUF, 4096)
        deaf.subscribe(b"")
        deaf.connect(endpoint)
        time.sleep(2.0)
        try:
            child.stdin.write("\n")
            child.stdin.flush()
            answer = []
            reader = threading.Thread(target=lambda: answer.append(child.stdout.readline()), daemon=True)
            reader.start()
            reader.join(30)
            assert answer == ["done\n"]
            assert deaf.poll(0)  # it was connected all the while
        finally:
            child.kill()
            child.wait()


def test_a_run_keeps_its_rate_beside_a_deaf_subscriber(pipeline):
    run = pipeline(fps=10)
    with run.subscribe(every=True) as poses, zmq.Context() as context, context.socket(zmq.SUB) as deaf:
        deaf.linger, deaf.rcvhwm = 0, 1
        deaf.subscribe(b"")
        deaf.connect(run.endpoint)
        first = run.wait_first(poses)
        last = first
        while last.seq < first.seq + 40:
            last = poses.newest(5.0)
        assert last.message.dropped_frames - first.message.dropped_frames <= 4


def test_conflate_gives_the_newest_pose_to_a_slow_reader(pipeline):
    run = pipeline(fps=15)
    with run.subscribe() as poses, run.subscribe(every=True) as all_poses:
        run.wait_first(poses)
        for _ in range(5):
            time.sleep(0.7)  # ten poses go by
            slow = poses.newest(0)
            newest = None
            while (pose := all_poses.newest(0)) is not None:
                newest = pose
            assert slow is not None and newest.seq - slow.seq <= 1
            assert slow.age_ns() < 0.3e9


def test_a_client_in_another_language_needs_only_zeromq_and_msgpack(pipeline):
    """The wire as docs/messages.md specifies it, read without any of our code."""
    run = pipeline(stream="left-headset")
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        socket.subscribe(b"pose/left-headset\0")
        socket.subscribe(b"status/left-headset\0")
        socket.connect(run.endpoint)
        got, deadline = {}, time.monotonic() + 60
        while set(got) != {"pose", "status"} and time.monotonic() < deadline:
            if socket.poll(500):
                frames = socket.recv_multipart()
                assert len(frames) == 1
                topic, _, body = frames[0].partition(b"\0")
                got[topic.decode().split("/")[0]] = msgpack.unpackb(body)
    pose, status = got["pose"], got["status"]
    assert list(pose) == [
        "v",
        "stream",
        "seq",
        "t_capture_ns",
        "t_publish_ns",
        "clock_offset_ns",
        "stages_ns",
        "joints",
        "frame",
        "confidence",
        "keypoints",
        "weights",
        "dropped_frames",
        "continues",
        "motions",
        "sigma_m",
        "joints_world",
        "world",
    ]
    assert (pose["v"], pose["stream"], pose["frame"], pose["world"]) == (1, "left-headset", "camera", "guess")
    assert [len(joint) for joint in pose["joints_world"]] == [3] * 15
    assert [len(pose[k]) for k in ("joints", "confidence", "keypoints")] == [15, 15, 15]
    assert {len(j) for j in pose["joints"]} == {3} and {len(k) for k in pose["keypoints"]} == {2}
    assert abs(sum(pose["stages_ns"].values()) - (pose["t_publish_ns"] - pose["t_capture_ns"])) < 1e6
    assert abs(pose["t_publish_ns"] + pose["clock_offset_ns"] - time.time_ns()) < 60e9
    assert status["skeleton"]["joints"][0] == "neck" and len(status["skeleton"]["parents"]) == 15
    assert status["weights"] == status["weights"] | {
        "id": pose["weights"],
        "trained": True,
        "window": default_weights().window,
    }
    assert pose["weights"] == default_weights().id  # shipped with the package
    assert status["camera"]["size"] == [1280, 1024] and status["engine"]["backend"] == "openvino"
