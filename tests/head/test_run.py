"""A real run with head poses: in the room, and on without it when they are wrong or end."""

from __future__ import annotations

import json
import subprocess
import sys

import msgpack
import numpy as np
import release_0_1
import zmq
from conftest import ROOT
from processes import wait_for
from scipy.spatial.transform import Rotation, Slerp

from egostream.head.standing import typed_rotation
from egostream.publish.message import ENCODER

STEP_S, COUNT = 0.02, 4000
SECONDS = np.arange(COUNT) * STEP_S
#: It moves, but so evenly that what is ahead of a late sender's newest row is within 2 mm.
PLACES = np.column_stack([np.sin(0.6 * SECONDS), 1.6 + 0.05 * np.cos(SECONDS), -0.3 * SECONDS])
TURNS = Rotation.from_euler("YX", np.column_stack([0.8 * np.sin(0.7 * SECONDS), 0.3 * np.cos(0.7 * SECONDS)]))


def head_csv(path) -> None:
    rows = np.column_stack([SECONDS, PLACES, TURNS.as_quat()])
    np.savetxt(path, rows, delimiter=",", header="t_s,x,y,z,qx,qy,qz,qw", comments="")


def mounted_calibration(path) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = typed_rotation(80, 3, 0), [0.0, 0.05, -0.1]
    data = json.loads((ROOT / "calib" / "canonical.json").read_text())
    path.write_text(json.dumps(data | {"T_head_camera": transform.tolist()}))
    return transform


def expected_world(joints: np.ndarray, t_s: float, T_head_camera: np.ndarray) -> np.ndarray:
    """By SciPy, from the file's rows, at a time since its first row."""
    T_world_head = np.eye(4)
    T_world_head[:3, :3] = Slerp(SECONDS, TURNS)(t_s).as_matrix()
    T_world_head[:3, 3] = [np.interp(t_s, SECONDS, axis) for axis in PLACES.T]
    points = np.column_stack([joints, np.ones(15)])
    return (points @ (T_world_head @ T_head_camera).T)[:, :3]


def send_until(poses, messages: list[bytes], endpoint: str, condition) -> None:
    """Send head messages by a plain socket, over and over, until a pose or status fits."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.connect(endpoint)

        def step() -> bool:
            for message in messages:
                socket.send(message)
            return condition(poses.newest(0.3), poses.status(0))

        assert wait_for(step, 30)


def test_poses_are_in_the_room_and_go_on_without(pipeline, tmp_path):
    T_head_camera, head = mounted_calibration(tmp_path / "mounted.json"), f"ipc://{tmp_path}/head"
    head_csv(tmp_path / "head.csv")
    run = pipeline(
        source="sample", calibration=str(tmp_path / "mounted.json"), pace="live", loop=True, fps=10, head=head
    )
    command = [sys.executable, "-m", "egostream", "head", "csv", str(tmp_path / "head.csv"), "--to", head]
    sender = subprocess.Popen([*command, "--with-poses", "--endpoint", run.endpoint], cwd=ROOT, stderr=subprocess.PIPE)
    try:
        with run.subscribe(every=True) as poses:
            heard, placed = [run.wait_first(poses)], []
            assert heard[0].world == "guess" and heard[0].joints_world.shape == (15, 3)
            while len(placed) < 12:
                pose = poses.newest(5.0)
                assert pose is not None and sender.poll() is None, run.output()
                (placed if pose.world == "headset" else heard).append(pose)
            # The file's first row belongs to the first pose that its sender heard of: one of those before.
            worst = [max(off(pose, one.t_capture_ns, T_head_camera) for pose in placed) for one in heard]
            assert min(worst) < 0.005, worst
            assert placed[0].message.head.space == "head"
            sender.kill()
            sender.wait()
            assert wait_for(lambda: (pose := poses.newest(2.0)) is not None and pose.world == "guess", 20), run.output()
            assert wait_for(lambda: (status := poses.status(2.0)) and status.head.state == "ended", 20)
            for words in ("head poses come", "head poses ended"):
                assert wait_for(lambda words=words: words in run.output()), run.output()
            garbage = [b"head/0\0\xff\xff", b"head/0\0" + msgpack.packb({"v": 1, "stream": "0"})]
            send_until(poses, garbage, head, lambda pose, status: pose and status.head.refused.get("malformed", 0) > 3)
            old = msgpack.unpackb(ENCODER.encode(poses.status()))
            assert set(release_0_1.STATUS) <= set(old) and old["head"]["has_mount"] is True
            assert wait_for(lambda: run.output().count("a head pose was refused (malformed)") == 1), run.output()
    finally:
        sender.kill()
        sender.wait()
        sender.stderr.close()


def off(pose, start_ns: int, T_head_camera: np.ndarray) -> float:
    """How far a pose's joints in the room are from what the file says, were its first row at start_ns; metres."""
    t_s = np.clip((pose.t_capture_ns - start_ns) / 1e9, 0, SECONDS[-1])
    return float(np.abs(pose.joints_world - expected_world(pose.joints, t_s, T_head_camera)).max())
