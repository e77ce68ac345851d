"""What ``egostream echo`` shows."""

from __future__ import annotations

import json
import sys
import time

import msgspec

from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber


def echo_poses(endpoint: str, stream: str, count: int, timeout: float, keys: tuple[str, str], as_json: bool) -> None:
    """Print each pose that is newest when we get to it."""
    received, told, warned = 0, False, False
    with PoseSubscriber(endpoint, stream, server_key=keys[0], client_key=keys[1]) as poses:
        waiting_since = time.monotonic()
        while not count or received < count:
            try:
                pose = poses.newest(0.5)
            except KeyboardInterrupt:
                return
            if pose is None:
                waited = time.monotonic() - waiting_since
                if timeout and waited > timeout:
                    raise EgostreamError(
                        f"no pose on {endpoint} stream {stream} for {timeout:g} s. Is it running? Start it: egostream run"
                    )
                if waited > 2 and not told:
                    print(f"waiting for poses on {endpoint}, stream {stream} ...", file=sys.stderr)
                    told = True
                continue
            received, waiting_since, told = received + 1, time.monotonic(), False
            if not warned and (status := poses.status()) and not status.weights.trained:
                print("WARNING: untrained weights; these poses mean nothing", file=sys.stderr)
                warned = True
            print(json.dumps(msgspec.to_builtins(pose.message)) if as_json else pose_text(pose), flush=True)


def pose_text(pose) -> str:
    """A pose in one line that fits a terminal: its age, and the joints that people look at first."""
    places = "  ".join(
        f"{name} {' '.join(f'{v:+.2f}' for v in pose.joint(name))}" for name in ("neck", "left_wrist", "right_wrist")
    )
    return f"#{pose.seq} {pose.age_ns() / 1e6:5.1f} ms  {places}  confidence {pose.confidence.mean():.2f}"
