"""What every bridge does: the newest pose in, solved, placed in a room, out to a receiver, until told to stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from egostream.bridge.scene import Follower, Scene
from egostream.errors import EgostreamError
from egostream.publish.client import DEFAULT_ENDPOINT, PoseSubscriber

POLL_S = 0.25
PATIENCE_S = 2.0  # without a pose for so long, say what is waited for


@dataclass(frozen=True)
class BridgeOptions:
    """Where poses come from, and how often they go on."""

    endpoint: str = DEFAULT_ENDPOINT
    stream: str = "0"
    server_key: str = ""
    client_key: str = ""
    rate: float = 0.0  # most poses a second; 0: each newest one
    stature: float = 0.0  # the wearer's, metres; 0: as the stream has it
    in_place: bool = False  # the hips stay above the origin


class Receiver(Protocol):
    """Where a bridge sends to."""

    @property
    def name(self) -> str:
        """What it is and where, in words for the first line."""

    @property
    def wants_every(self) -> bool:
        """Whether it takes every pose instead of the newest."""

    def room(self, scene: Scene) -> str:
        """In which room it shows a frame, in words that are said whenever they change; empty: in none."""

    def send(self, scene: Scene) -> None:
        """Pass one frame on, without waiting for anybody."""

    def close(self) -> None:
        """Let go of sockets."""


class Wait:
    """Says what is waited for, once, and that it came."""

    def __init__(self, options: BridgeOptions, say: Callable[[str], None]):
        self.options, self.say = options, say
        self.since_s, self.has_told = time.monotonic(), False

    def check(self, has_come: bool) -> None:
        """Tell that no pose came for a while, or that they are back."""
        now = time.monotonic()
        if has_come:
            if self.has_told:
                self.say("poses come")
            self.since_s, self.has_told = now, False
        elif now - self.since_s > PATIENCE_S and not self.has_told:
            self.say(
                f"waiting for poses on {self.options.endpoint}, stream {self.options.stream}. Start: egostream run"
            )
            self.has_told = True


def say_to_stderr(text: str) -> None:
    """A line for the user."""
    print(f"egostream bridge: {text}", file=sys.stderr, flush=True)


def run_bridge(
    receiver: Receiver,
    options: BridgeOptions,
    say: Callable[[str], None] = say_to_stderr,
    stop: threading.Event | None = None,
) -> None:
    """Pass poses on until Ctrl-C, SIGTERM, or ``stop``. Raises EgostreamError for an endpoint that cannot be used.

    A message that is none is told once and left out. The receiver is closed at the end.
    """
    ended = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end_by_signal)
    try:
        with PoseSubscriber(
            options.endpoint,
            options.stream,
            every=receiver.wants_every,
            server_key=options.server_key,
            client_key=options.client_key,
        ) as poses:
            say(f"{options.endpoint}, stream {options.stream} -> {receiver.name}")
            pass_on(poses, receiver, options, say, ended)
    except KeyboardInterrupt:
        pass
    finally:
        receiver.close()


def pass_on(
    poses: PoseSubscriber,
    receiver: Receiver,
    options: BridgeOptions,
    say: Callable[[str], None],
    ended: threading.Event,
) -> None:
    """The loop: wait, read, solve, send."""
    follower, wait = Follower(options.stature, walks=not options.in_place), Wait(options, say)
    told: set[str] = set()
    room, due_s = "", 0.0
    while not ended.is_set():
        ended.wait(max(due_s - time.monotonic(), 0.0))  # not before its turn; then the newest
        try:
            tracked = poses.newest(POLL_S)
            wait.check(has_come=tracked is not None)
            if tracked is not None:
                due_s = time.monotonic() + (1 / options.rate if options.rate else 0.0)
                scene = Scene(tracked, follower)
                if (new_room := receiver.room(scene)) != room:
                    room = new_room
                    say(room)
                receiver.send(scene)
        except EgostreamError as error:
            if str(error) not in told:
                told.add(str(error))
                say(f"{error} (left out)")


def end_by_signal(*_: object) -> NoReturn:
    """SIGTERM ends a bridge as Ctrl-C does."""
    raise KeyboardInterrupt
