"""Sending a headset's pose to a run: what every adapter shares."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq

from egostream.errors import EgostreamError
from egostream.publish import curve
from egostream.publish.message import HEAD_TOPIC, HeadMessage, clock_offset_ns, pack

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5572"
#: Without a run for so long, say what is waited for.
PATIENCE_S = 2.0
SEND_QUEUE = 64


@dataclass(frozen=True)
class HeadPose:
    """A headset's pose as an adapter got it: OpenXR axes, metres. None: unknown."""

    position: Sequence[float] | np.ndarray | None = None
    orientation: Sequence[float] | np.ndarray | None = None  # unit quaternion x, y, z, w
    gravity: Sequence[float] | np.ndarray | None = None  # where down is, in the head's axes
    space: str = ""


class HeadSender:
    """The socket of an adapter. Raises EgostreamError for an endpoint that is none.

    It is an XPUB socket: it hears of the run's subscription, so that it knows whether anybody listens.
    """

    def __init__(self, endpoint: str, streams: Sequence[str], server_key: str = "", client_key: str = ""):
        self.endpoint, self.streams = endpoint, tuple(streams) or ("0",)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.linger, self.socket.sndhwm = 0, SEND_QUEUE
        self.was_heard, self.sent = False, 0
        if server_key:
            curve.join(self.socket, server_key, client_key)
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise EgostreamError(
                f"cannot connect to {endpoint}: {error}. An endpoint looks like {DEFAULT_ENDPOINT}"
            ) from None

    def is_heard(self, timeout_s: float = 0.0) -> bool:
        """Whether a run has listened, waiting up to ``timeout_s`` for its subscription."""
        while self.socket.poll(int(timeout_s * 1000)):
            timeout_s, news = 0.0, self.socket.recv()
            self.was_heard |= news[:1] == b"\1"
        return self.was_heard

    def wait_for_run(self) -> None:
        """Wait until a run listens, and say what is waited for."""
        began, has_told = time.monotonic(), False
        while not self.is_heard(0.2):
            if time.monotonic() - began > PATIENCE_S and not has_told:
                has_told = True
                print(f"waiting for a run that takes head poses: egostream run --head {self.endpoint}", file=sys.stderr)

    def send(self, pose: HeadPose, t_ns: int) -> None:
        """Send a pose to every stream, never waiting. t_ns: when it was so, on this machine's monotonic clock."""
        known: dict[str, Any] = {
            key: tuple(float(number) for number in values)
            for key in ("position", "orientation", "gravity")
            if (values := getattr(pose, key)) is not None
        }
        self.is_heard()
        for stream in self.streams:
            message = HeadMessage(
                stream=stream, t_ns=t_ns, clock_offset_ns=clock_offset_ns(), space=pose.space, **known
            )
            self.socket.send(pack(HEAD_TOPIC, message))
        self.sent += 1

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
        self.context.term()

    def __enter__(self) -> HeadSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
