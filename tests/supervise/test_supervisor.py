"""The running pipeline under kills, slow readers, garbage and strangers: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import msgpack
import psutil
import pytest
import zmq
from conftest import ROOT
from processes import wait_for, workers

from egostream.files import asset
from egostream.graph.default_weights import default_weights
from egostream.publish.client import PoseSubscriber
from egostream.publish.curve import make_keys
from egostream.supervise.control import request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm and /proc")
BACK_WITHIN_S = 3.0


def shared_names() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith(("psm_", "sem.mp-"))}


def seconds_until_newer(poses, t_ns, limit=15.0):
    """How long until a pose captured after ``t_ns`` arrives."""
    start = time.monotonic()
    while time.monotonic() - start < limit:
        pose = poses.newest(0.1)
        if pose is not None and pose.t_capture_ns > t_ns:
            return time.monotonic() - start
    raise AssertionError(f"no pose within {limit} s")


@pytest.mark.parametrize("victim", ["capture", "infer"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_poses_return_after_a_worker_is_killed(pipeline, victim, how):
    run = pipeline()
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        workers(run)[victim].send_signal(how)
        t_kill_ns = time.monotonic_ns()
        time.sleep(0.15)  # whatever was in flight is out
        while poses.newest(0) is not None:
            pass
        took = seconds_until_newer(poses, t_kill_ns + 150_000_000)
        assert took < BACK_WITHIN_S, f"{took:.1f} s; {run.output()}"
        after = poses.newest(1.0)
        assert after.seq > before.seq and after.message.dropped_frames >= before.message.dropped_frames
        assert wait_for(lambda: (s := poses.status(1.0)) and s.restarts[victim] == 1), poses.status()
        assert wait_for(lambda: poses.status(1.0).window_resets >= 1)  # whichever it was, the past is lost
    assert f"{victim} process ended (killed by signal {int(how)})" in run.output()


@pytest.mark.parametrize("victim", ["capture", "infer"])
def test_a_hung_worker_is_restarted(pipeline, victim):
    run = pipeline()
    with run.subscribe() as poses:
        run.wait_first(poses)
        workers(run)[victim].suspend()
        seconds_until_newer(poses, time.monotonic_ns() + int(1e9), limit=30)
    assert f"{victim} process stopped responding" in run.output()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_leaves_nothing_behind(pipeline, how):
    names = shared_names()
    run = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")
    with run.subscribe() as poses:
        run.wait_first(poses)
        children = psutil.Process(run.process.pid).children(recursive=True)
        assert shared_names() - names
        run.process.send_signal(how)
        assert run.wait(10) == 0
    assert shared_names() <= names
    # Python's own tracker of shared memory ends some milliseconds after its parent, when it sees that it is gone
    left = lambda: [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert wait_for(lambda: not left(), 1.0), left()
    assert "Traceback" not in run.output() and "leaked" not in run.output(), run.output()
    assert "poses," in run.output()


def test_a_suspended_run_goes_on(pipeline):
    """Ctrl-Z for longer than a heartbeat may be late, then fg: nobody is blamed."""
    run = pipeline()
    with run.subscribe() as poses:
        run.wait_first(poses)
        everyone = [*workers(run).values(), psutil.Process(run.process.pid)]
        for process in everyone:
            process.suspend()
        time.sleep(6)
        for process in reversed(everyone):  # the supervisor first: it must not take the others for hung
            process.resume()
        seconds_until_newer(poses, time.monotonic_ns())
    assert "stopped responding" not in run.output()


def test_a_restarted_recording_goes_on_where_it_was(pipeline):
    run = pipeline(source=str(asset("sample", "sample.avi")), assume_canonical=True, pace="every-frame")
    seqs = []
    with run.subscribe(every=True) as poses:
        seqs.append(run.wait_first(poses).seq)
        while (pose := poses.newest(10.0)) is not None:
            seqs.append(pose.seq)
            if len(seqs) == 20:
                workers(run)["capture"].kill()
            if pose.seq >= 89:
                break
        assert run.wait(15) == 0
    assert seqs == sorted(set(seqs)) and seqs[-1] == 89
    assert 90 - len(seqs) <= 2  # at most what was in flight is lost


def test_a_killed_supervisor_leaves_nothing_behind(pipeline):
    names = shared_names()
    run = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")
    with run.subscribe() as poses:
        run.wait_first(poses)
    children = psutil.Process(run.process.pid).children(recursive=True)
    run.process.kill()
    gone = lambda: not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]  # noqa: E731
    assert wait_for(gone), [(c, c.status()) for c in children if c.is_running()]
    assert wait_for(lambda: shared_names() <= names), shared_names() - names
    assert "Traceback" not in run.output(), run.output()
    again = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")  # the ports are free
    with again.subscribe() as poses:
        again.wait_first(poses)


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
    assert list(pose) == ["v", "stream", "seq", "t_capture_ns", "t_publish_ns", "clock_offset_ns", "stages_ns", "joints", "frame",
                          "confidence", "keypoints", "weights", "dropped_frames"]  # fmt: skip
    assert (pose["v"], pose["stream"], pose["frame"]) == (1, "left-headset", "camera")
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


def test_control_requests_and_garbage(pipeline):
    run = pipeline()
    with run.subscribe() as poses:
        run.wait_first(poses)
        assert request(run.control, {"cmd": "ping"})["ok"]
        assert request(run.control, {"cmd": "status"})["camera"] == "streaming"
        assert request(run.control, {"cmd": "reset"})["ok"]
        assert wait_for(lambda: poses.status(1.0).window_resets >= 1)
        assert "unknown cmd" in request(run.control, {"cmd": "rm -rf"})["error"]
        with zmq.Context() as context:
            for garbage in (
                [b""],
                [b"\xff" * 100],
                [b"\x93\x01\x02\x03"],
                [b"a", b"b", b"c"],
                [b"x" * 100_000],
                [b"\x81" * 3000],
            ):
                with context.socket(zmq.REQ) as socket:
                    socket.linger = 0
                    socket.connect(run.control)
                    socket.send_multipart(garbage)
                    socket.poll(300)
            with context.socket(zmq.PUSH) as socket:  # not even the right kind of socket
                socket.linger = 0
                socket.connect(run.control)
                socket.send(b"hello", zmq.DONTWAIT) if socket.poll(300, zmq.POLLOUT) else None
        assert request(run.control, {"cmd": "ping"})["ok"]
        assert poses.newest(2.0) is not None
        assert request(run.control, {"cmd": "stop"})["ok"]
    assert run.wait(10) == 0
    assert "Traceback" not in run.output()


def test_curve_admits_known_clients_only(pipeline, tmp_path):
    server_public, server_secret = make_keys(tmp_path / "server", "server")
    known_public, known_secret = make_keys(tmp_path / "clients", "known")
    known_secret = known_secret.rename(tmp_path / "known.key_secret")  # the folder holds public keys only
    _, stranger_secret = make_keys(tmp_path / "stranger", "stranger")
    run = pipeline(
        publish="tcp://127.0.0.1:15572", server_key=str(server_secret), client_keys=str(tmp_path / "clients")
    )
    with run.subscribe(server_key=str(server_public), client_key=str(known_secret)) as poses:
        run.wait_first(poses)
        for keys in ({}, {"server_key": str(server_public), "client_key": str(stranger_secret)}):
            with PoseSubscriber(run.config.publish, **keys) as stranger:
                assert stranger.newest(1.0) is None
        assert poses.newest(2.0) is not None


@pytest.mark.parametrize("endpoint", ["publish", "control"])
def test_a_taken_port_is_one_clear_line(pipeline, endpoint):
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        socket.bind("tcp://127.0.0.1:15573")
        run = pipeline(**{endpoint: "tcp://127.0.0.1:15573"})
        assert run.wait(30) == 1
    last = run.output().strip().splitlines()[-1]
    assert (
        last
        == f"egostream: {endpoint} endpoint tcp://127.0.0.1:15573 is taken by another program (another egostream run?). Choose another: --{endpoint} tcp://127.0.0.1:PORT"
    )


def test_echo_prints_poses_of_a_run(pipeline):
    run = pipeline(fps=15)
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "echo", "--endpoint", run.endpoint, "--count", "3", "--timeout", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 3, done.stderr
    assert all(line.startswith("#") and "left_wrist" in line for line in lines)
