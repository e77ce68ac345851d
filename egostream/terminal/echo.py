"""What ``egostream echo`` shows."""

from __future__ import annotations

import json
import sys
import time

import msgspec

from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber, TrackedPose
from egostream.publish.message import StatusMessage

PATIENCE_S = 2.0  # without a pose for so long, say what is waited for


class Wait:
    """How long there was no pose, and what to say about it."""

    def __init__(self, what: str, timeout_s: float):
        """timeout_s: after which it is an error; 0: never."""
        self.what, self.timeout_s = what, timeout_s
        self.restart()

    def restart(self) -> None:
        """A pose came."""
        self.since_s, self.has_told = time.monotonic(), False

    def check(self) -> None:
        """Say once what is waited for. Raises EgostreamError after the timeout."""
        waited_s = time.monotonic() - self.since_s
        if self.timeout_s and waited_s > self.timeout_s:
            raise EgostreamError(
                f"no pose on {self.what.replace(',', '')} for {self.timeout_s:g} s. "
                "Is it running? Start it: egostream run"
            )
        if waited_s > PATIENCE_S and not self.has_told:
            print(f"waiting for poses on {self.what} ...", file=sys.stderr)
            self.has_told = True


def echo_poses(endpoint: str, stream: str, count: int, timeout: float, keys: tuple[str, str], as_json: bool) -> None:
    """Print each pose that is newest when we get to it, ``count`` of them; 0: until Ctrl-C.

    keys: the publisher's public certificate and one's own secret one, or "". Raises EgostreamError after ``timeout``
    seconds without a pose; 0: never.
    """
    received, has_warned = 0, False
    wait = Wait(f"{endpoint}, stream {stream}", timeout)
    with PoseSubscriber(endpoint, stream, server_key=keys[0], client_key=keys[1]) as poses:
        while not count or received < count:
            try:
                pose = poses.newest(0.5)
            except KeyboardInterrupt:
                return
            if pose is None:
                wait.check()
                continue
            received += 1
            wait.restart()
            has_warned = has_warned or warn_if_untrained(poses.status())
            print(json.dumps(msgspec.to_builtins(pose.message)) if as_json else pose_text(pose), flush=True)


def warn_if_untrained(status: StatusMessage | None) -> bool:
    """Say that poses mean nothing, where the status says so. Returns whether it was said."""
    is_untrained = status is not None and not status.weights.trained
    if is_untrained:
        print("WARNING: untrained weights; these poses mean nothing", file=sys.stderr)
    return is_untrained


def pose_text(pose: TrackedPose) -> str:
    """A pose in one line that fits a terminal: its age, and the joints that people look at first."""
    joints = {name: pose.joint(name) for name in ("neck", "left_wrist", "right_wrist")}
    places = "  ".join(f"{name} {' '.join(f'{v:+.2f}' for v in joint)}" for name, joint in joints.items())
    return f"#{pose.seq} {pose.age_ns() / 1e6:5.1f} ms  {places}  confidence {pose.confidence.mean():.2f}" + (
        f"  room {pose.world}" if pose.world else ""
    )
