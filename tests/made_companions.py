"""Companions for tests: each function is a ``CompanionSpec.target``, run in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from egostream.errors import EgostreamError
from egostream.handover.companion import Companion
from egostream.publish.control import ControlClient


def finishes(setup: str, companion: Companion) -> None:
    """Waits until told to end, then still asks the run for something."""
    companion.say("is here")
    while not companion.should_stop():
        time.sleep(0.02)
    with ControlClient(setup) as client:
        companion.say("pong" if client.ask({"cmd": "ping"})["ok"] else "?")


def is_over(setup: None, companion: Companion) -> None:
    """Has done its work."""


def refuses(setup: None, companion: Companion) -> None:
    raise EgostreamError("its port is taken")


def is_killed(setup: Path, companion: Companion) -> None:
    """Dies at once, and counts how often."""
    with open(setup, "a") as file:
        file.write(f"{companion.restarts} ")
    os.kill(os.getpid(), signal.SIGKILL)


def never_ends(setup: None, companion: Companion) -> None:
    companion.say("is here")
    while True:
        time.sleep(1)
