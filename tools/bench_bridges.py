#!/usr/bin/env python3
"""What bridges cost: processor time for each pose, and how much later than a plain subscriber a receiver has it.

    python tools/bench_bridges.py
    python tools/bench_bridges.py --kinds vmc vrchat --seconds 60

A publisher in a process of its own plays the bundled clip's true joints, as a run publishes them, at ``--fps``. Nothing
of a camera or network runs. A plain subscriber in another process sends a datagram as soon as it has a pose. The kernel
stamps its datagrams and the bridge's, so that whoever reads them adds nothing (Linux). Processor time is that of the
bridge's threads over the measured seconds, without its start.

Prints a line for each bridge: percent of a core, ms for each pose, and the time since the capture in ms (median, p99)
of the plain subscriber, of the receiver, and how much later the receiver had the same pose.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from egostream.config import RunConfig
from egostream.files import asset
from egostream.head.room import Guess
from egostream.publish.client import PoseSubscriber
from egostream.publish.message import clock_offset_ns
from egostream.publish.publisher import Publisher
from egostream.truth import SUFFIX
from egostream.types import CAPTURE_STAGES, Pose

#: Bridges whose receiver is a UDP socket. ``lsl`` has none here: its processor time alone is measured.
KINDS = ("vmc", "vrchat", "vmt", "lsl")
SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
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


def subscribe(endpoint: str, port: int, ended: Event) -> None:
    """The plain subscriber: a datagram with the capture time, as soon as there is a pose, until told."""
    with PoseSubscriber(endpoint) as poses, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        while not ended.is_set():
            if (pose := poses.newest(0.2)) is not None:
                udp.sendto(pose.t_capture_ns.to_bytes(8, "big"), ("127.0.0.1", port))


def stamped_socket() -> socket.socket:
    """A UDP socket on a free port, whose datagrams the kernel stamps."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    return udp


def received(udp: socket.socket) -> list[tuple[bytes, int]]:
    """All datagrams that wait, each with the time of its arrival on the monotonic clock, ns."""
    found: list[tuple[bytes, int]] = []
    offset_ns = clock_offset_ns()
    while True:
        try:
            data, extra, _, _ = udp.recvmsg(65536, 64)
        except BlockingIOError:
            return found
        seconds, nanoseconds = struct.unpack("qq", extra[0][2])
        found.append((data, seconds * 10**9 + nanoseconds - offset_ns))


def ages_ms(plain: list[tuple[bytes, int]], bridged: list[tuple[bytes, int]]) -> np.ndarray:
    """Ages [n, 2] at which the plain subscriber and the receiver had the same poses.

    A datagram belongs to the newest pose that was captured before it. Only a pose's last datagram counts.
    """
    captured_ns = np.array([int.from_bytes(data, "big") for data, _ in plain])
    last_ns = np.full(len(plain), np.nan)
    for _, arrival_ns in bridged:
        if number := np.searchsorted(captured_ns, arrival_ns):
            last_ns[number - 1] = arrival_ns
    ages = np.stack([[at for _, at in plain], last_ns], axis=1) - captured_ns[:, None]
    return ages[np.isfinite(ages).all(1)] / 1e6


def measure(kind: str, endpoint: str, plain: socket.socket, fps: float, seconds: float) -> str:
    """A bridge's line. plain: where the plain subscriber's datagrams come."""
    with stamped_socket() as udp:
        where = [] if kind == "lsl" else ["--to", f"127.0.0.1:{udp.getsockname()[1]}", "--rate", "0"]
        command = [sys.executable, "-m", "egostream", "bridge", kind, "--endpoint", endpoint, *where]
        bridge = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            time.sleep(WARM_S)
            received(udp), received(plain)
            before_s = processor_s(bridge.pid)
            time.sleep(seconds)
            taken_s = processor_s(bridge.pid) - before_s
            ages = ages_ms(received(plain), received(udp))
        finally:
            bridge.send_signal(signal.SIGTERM)
            bridge.wait()
    line = f"{kind:8} {100 * taken_s / seconds:5.1f}% {1000 * taken_s / (fps * seconds):7.2f}"
    columns = [ages[:, 0], ages[:, 1], ages[:, 1] - ages[:, 0]] if len(ages) else []
    return line + "".join(f"   {np.median(one):6.2f} {np.percentile(one, 99):6.2f}" for one in columns)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="bridges to measure")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each bridge")
    parser.add_argument("--fps", type=float, default=30.0, help="poses a second")
    options = parser.parse_args()
    print("bridge    core ms/pose   plain: ms    p99   receiver ms p99   later ms     p99")
    with tempfile.TemporaryDirectory() as folder, stamped_socket() as plain:
        endpoint, ended = f"ipc://{folder}/poses", multiprocessing.Event()
        port = plain.getsockname()[1]
        others = [
            multiprocessing.Process(target=publish, args=(endpoint, options.fps, ended), daemon=True),
            multiprocessing.Process(target=subscribe, args=(endpoint, port, ended), daemon=True),
        ]
        for other in others:
            other.start()
        for kind in options.kinds:
            print(measure(kind, endpoint, plain, options.fps, options.seconds), flush=True)
        ended.set()
        for other in others:
            other.join()


if __name__ == "__main__":
    main()
