"""A real publisher in a process of its own, commanded by its standard input: the live stream of the clients' tests.

    python live_publisher.py ENDPOINT

Each line is one command in JSON: ``[first, last]`` publishes those poses, ``"..."`` sends a ZeroMQ frame in hexadecimal
as it is. The answer to each is a line, "done".
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from egostream.config import RunConfig
from egostream.publish.publisher import Publisher
from egostream.types import Pose

STREAM = "left-headset"


def joints_of(seq: int) -> np.ndarray:
    """Joints [15, 3] of a pose: no two numbers of them are alike, whatever their signs."""
    return (np.arange(45).reshape(15, 3) * 0.011 + 0.1 + 0.0003 * (seq % 1000)).astype(np.float32)


def pose_of(seq: int) -> Pose:
    """A pose that was captured now."""
    return Pose(seq, time.monotonic_ns(), joints_of(seq), np.zeros((15, 2)), np.full(15, 0.75))


def main(endpoint: str) -> None:
    publisher = Publisher(RunConfig(publish=endpoint, stream=STREAM), "weights")
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if isinstance(command, str):
            publisher.socket.send(bytes.fromhex(command))
        else:
            for seq in range(command[0], command[1] + 1):
                publisher.publish_pose(STREAM, pose_of(seq), 0)
                time.sleep(0.001)  # its queue for a client is short: a burst would lose the newest
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
