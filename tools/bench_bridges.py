#!/usr/bin/env python3
"""What bridges cost: processor time for each pose, and how much later than a plain subscriber a receiver has it.

    python tools/bench_bridges.py
    python tools/bench_bridges.py --kinds vmc vrchat --seconds 60

A publisher in a process of its own plays the bundled clip's true joints, as a run publishes them, at ``--fps``. A plain
subscriber and the OSC receiver are one process, which notes when each has a pose; nothing of a camera or network runs.
Processor time is that of the bridge's threads over the measured seconds, without its start (Linux).

Prints a line for each bridge: percent of a core, ms for each pose, and capture to receipt in ms (median, p99) of the
plain subscriber, of the receiver, and of the difference for the same pose.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import zmq

from egostream.config import RunConfig
from egostream.files import asset
from egostream.head.room import Guess
from egostream.publish.client import PoseSubscriber
from egostream.publish.publisher import Publisher
from egostream.truth import SUFFIX
from egostream.types import CAPTURE_STAGES, Pose

#: Bridges whose receiver is a UDP socket. ``lsl`` has none here: its processor time alone is measured.
KINDS = ("vmc", "vrchat", "vmt", "lsl")
WARM_S = 6.0  # a bridge starts, and measures the wearer


def publish(endpoint: str, fps: float, ended: Event) -> None:
    """Publish the clip's joints, over and over, until told."""
    joints = np.load(asset("sample", f"sample{SUFFIX}"))["joints"]
    publisher, room, seq = Publisher(RunConfig(publish=endpoint), "0" * 64), Guess(), 0
    due_s = time.monotonic()
    while not ended.wait(max(0.0, due_s - time.monotonic())):
        t_ns, row = time.monotonic_ns(), joints[seq % len(joints)]
        stages = {stage.value: 0 for stage in CAPTURE_STAGES}
        pose = Pose(seq, t_ns, row, np.zeros((15, 2)), np.ones(15), stages, t_ns)
        publisher.publish_pose("0", pose, 0, room.place(t_ns, row))
        seq, due_s = seq + 1, due_s + 1 / fps
    publisher.close()


def processor_s(pid: int) -> float:
    """Processor time of a process's threads so far, seconds, as the scheduler counted it."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def receipts(endpoint: str, udp: socket.socket, seconds: float) -> np.ndarray:
    """Ages in ms [n, 2] at which the plain subscriber and the receiver had the same poses.

    A datagram belongs to the newest pose that was captured before it, whoever of the two came first. Only a pose's last
    datagram counts.
    """
    heard: list[tuple[int, int]] = []  # when a pose was captured, and when the plain subscriber had it
    arrivals: list[int] = []
    poller = zmq.Poller()
    with PoseSubscriber(endpoint, every=True) as poses:
        poller.register(poses.poses, zmq.POLLIN)
        poller.register(udp, zmq.POLLIN)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready = dict(poller.poll(100))
            now_ns = time.monotonic_ns()
            if udp.fileno() in ready:
                udp.recv(65536)
                arrivals.append(now_ns)
            if poses.poses in ready and (pose := poses.newest(0)) is not None:
                heard.append((pose.t_capture_ns, now_ns))
    captured_ns, plain_ns = np.array(heard).T
    last_ns = np.full(len(captured_ns), np.nan)
    for arrival in arrivals:
        if number := np.searchsorted(captured_ns, arrival):
            last_ns[number - 1] = arrival
    return (np.stack([plain_ns, last_ns], axis=1) - captured_ns[:, None]) / 1e6


def measure(kind: str, endpoint: str, fps: float, seconds: float) -> str:
    """A bridge's line."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        where = [] if kind == "lsl" else ["--to", f"127.0.0.1:{udp.getsockname()[1]}", "--rate", "0"]
        command = [sys.executable, "-m", "egostream", "bridge", kind, "--endpoint", endpoint, *where]
        bridge = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            time.sleep(WARM_S)
            while select_waiting(udp):
                udp.recv(65536)
            before_s = processor_s(bridge.pid)
            ages = receipts(endpoint, udp, seconds)
            taken_s = processor_s(bridge.pid) - before_s
        finally:
            bridge.send_signal(signal.SIGTERM)
            bridge.wait()
    line = f"{kind:8} {100 * taken_s / seconds:5.1f}% {1000 * taken_s / (fps * seconds):7.2f}"
    both = ages[np.isfinite(ages).all(1)]
    columns = [] if not len(both) else [both[:, 0], both[:, 1], both[:, 1] - both[:, 0]]
    return line + "".join(f"   {np.median(one):6.2f} {np.percentile(one, 99):6.2f}" for one in columns)


def select_waiting(udp: socket.socket) -> bool:
    """Whether a datagram waits."""
    poller = zmq.Poller()
    poller.register(udp, zmq.POLLIN)
    return bool(poller.poll(0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="bridges to measure")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each bridge")
    parser.add_argument("--fps", type=float, default=30.0, help="poses a second")
    options = parser.parse_args()
    print("bridge    core ms/pose   plain: ms    p99   receiver ms p99   later ms     p99")
    with tempfile.TemporaryDirectory() as folder:
        endpoint, ended = f"ipc://{folder}/poses", multiprocessing.Event()
        publisher = multiprocessing.Process(target=publish, args=(endpoint, options.fps, ended), daemon=True)
        publisher.start()
        for kind in options.kinds:
            print(measure(kind, endpoint, options.fps, options.seconds), flush=True)
        ended.set()
        publisher.join()


if __name__ == "__main__":
    main()
