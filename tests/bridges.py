"""Bridges as tests run them: the command in its own process, poses from a real publisher, receivers in a third."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from conftest import ROOT
from made_bodies import X, Y, Z, joints_of, posed, turn

from egostream.config import RunConfig
from egostream.publish.message import Placed
from egostream.publish.publisher import Publisher
from egostream.types import Pose

TESTS = ROOT / "tests"
#: A camera on a head that looks down at the body: joints are published in its axes.
TILT_DEG = -60
STEP_S = 1 / 30


def camera() -> np.ndarray:
    angle = np.radians(TILT_DEG)
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


class Stream:
    """Publishes a pose 30 times a second, from a thread, through the real publisher."""

    def __init__(self, folder: Path, joints: np.ndarray):
        self.endpoint = f"ipc://{folder}/poses"
        self.joints = joints  # [15, 3] in the camera's axes
        self.placed: Placed | None = None  # None: as a publisher of release 0.1.0
        self.publisher = Publisher(RunConfig(publish=self.endpoint), "weights")
        self.is_ended = threading.Event()
        self.seq = 0
        self.thread = threading.Thread(target=self.publish, daemon=True)
        self.thread.start()

    def publish(self) -> None:
        while not self.is_ended.wait(STEP_S):
            self.seq += 1
            joints = self.joints.astype(np.float32)
            pose = Pose(self.seq, time.monotonic_ns(), joints, np.zeros((15, 2)), np.ones(15))
            self.publisher.publish_pose("0", pose, 0, self.placed)

    def close(self) -> None:
        self.is_ended.set()
        self.thread.join()
        self.publisher.close()


class Program:
    """A process whose lines are read as they come."""

    def __init__(self, *command: str):
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.errors: list[str] = []
        for stream, keep in ((self.process.stdout, self.lines.put), (self.process.stderr, self.errors.append)):
            threading.Thread(target=lambda s=stream, k=keep: [k(line) for line in s], daemon=True).start()

    def line(self, timeout: float = 30.0) -> str:
        try:
            return self.lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no line within {timeout} s; {self.process.poll()=} {self.errors}") from None

    def json(self, timeout: float = 30.0):
        return json.loads(self.line(timeout))

    def newest(self, count: int) -> list:
        """The next ``count`` lines that come from now on, as JSON."""
        while not self.lines.empty():
            self.lines.get()
        return [self.json() for _ in range(count)]

    def says(self, text: str, timeout: float = 30.0) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if any(text in line for line in self.errors):
                return True
            time.sleep(0.05)
        return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


#: A pose whose left is unlike its right, with every limb bent.
CROOKED = {
    "Hips": turn(Y, 20),
    "Chest": turn(Y, 25),
    "LeftUpperArm": turn(Z, -30),
    "LeftLowerArm": turn(Y, 75),
    "RightUpperArm": turn(Z, 70),
    "RightLowerArm": turn(Y, -35),
    "LeftLowerLeg": turn(X, -15),
    "RightUpperLeg": turn(X, 40),
    "RightLowerLeg": turn(X, -55),
}


def pose_joints() -> np.ndarray:
    """Joints of that pose in the camera's axes."""
    return joints_of(posed(**CROOKED)) @ camera().T


def directions(joints: np.ndarray, pairs) -> np.ndarray:
    bones = np.array([joints[end] - joints[start] for start, end in pairs])
    return bones / np.linalg.norm(bones, axis=1, keepdims=True)


def best_turn_deg(a: np.ndarray, b: np.ndarray) -> float:
    """The largest angle between directions [n, 3] and others, after the best turn of all together."""
    u, _, vt = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return float(np.degrees(np.arccos(np.clip(((a @ turn) * b).sum(1), -1, 1)).max()))


def bridge(start, stream: Stream, *arguments: str) -> Program:
    """A bridge of a stream, started."""
    return start("-m", "egostream", "bridge", *arguments, "--endpoint", stream.endpoint)


def osc_bundles(start, stream: Stream, *arguments: str, count: int = 4) -> list:
    """What a receiver lists of a bridge's datagrams, after the first: [size, messages, types]."""
    receiver = start(str(TESTS / "osc_receiver.py"))
    port = receiver.json()
    bridge(start, stream, *arguments, "--to", f"127.0.0.1:{port}")
    receiver.json()
    return receiver.newest(count)
