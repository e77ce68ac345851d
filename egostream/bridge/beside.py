"""Bridges that a run starts beside itself: ``egostream run --bridge vmc=192.168.1.20:39539``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from egostream.bridge.loop import BridgeOptions, Receiver, run_bridge
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.handover.companion import Companion
from egostream.publish.endpoints import local_endpoint

POLL_S = 0.1


@dataclass(frozen=True)
class BridgeBeside:
    """One bridge of a run: its kind, where it sends or listens (empty: the usual place), and the run's poses."""

    kind: str
    to: str
    options: BridgeOptions


def vmc(to: str) -> Receiver:
    """To programs that receive VMC."""
    from egostream.bridge.vmc import VmcOptions, VmcReceiver

    return VmcReceiver(VmcOptions(to) if to else VmcOptions())


def vrchat(to: str) -> Receiver:
    """To VRChat."""
    from egostream.bridge.vrchat import VrchatOptions, VrchatReceiver

    return VrchatReceiver(VrchatOptions(to) if to else VrchatOptions())


def vmt(to: str) -> Receiver:
    """To SteamVR, by Virtual Motion Tracker."""
    from egostream.bridge.vmt import VmtOptions, VmtReceiver

    return VmtReceiver(VmtOptions(to) if to else VmtOptions())


def websocket(to: str) -> Receiver:
    """To browsers."""
    from egostream.bridge.websocket import WebsocketOptions, WebsocketReceiver

    return WebsocketReceiver(WebsocketOptions(to) if to else WebsocketOptions())


def lsl(name: str) -> Receiver:
    """Into the Lab Streaming Layer; what follows the ``=`` is the outlet's name."""
    from egostream.bridge.lsl import LslOptions, LslReceiver

    return LslReceiver(LslOptions(name) if name else LslOptions())


#: The bridges that ``run --bridge`` knows. Their other settings are those of ``egostream bridge`` by default.
KINDS: dict[str, Callable[[str], Receiver]] = {
    "vmc": vmc, "vrchat": vrchat, "vmt": vmt, "websocket": websocket, "lsl": lsl,
}  # fmt: skip


def bridges_beside(config: RunConfig) -> list[BridgeBeside]:
    """The bridges that a run's settings ask for, of its first stream. Raises EgostreamError for one that is none."""
    stream = (config.streams[0].stream or "0") if config.streams else config.stream
    options = BridgeOptions(local_endpoint(config.publish), stream, config.server_key)
    return [BridgeBeside(*parsed(text), options) for text in config.bridge]


def parsed(text: str) -> tuple[str, str]:
    """A bridge's kind and place of ``KIND`` or ``KIND=PLACE``. Raises EgostreamError."""
    kind, _, place = text.partition("=")
    if kind not in KINDS:
        raise EgostreamError(f"--bridge {text}: {kind!r} is no bridge; known: {', '.join(KINDS)}")
    return kind, place


def run(setup: BridgeBeside, companion: Companion) -> None:
    """Pass a run's poses on until it ends. Raises EgostreamError for a place that cannot be reached."""
    ended = threading.Event()

    def watch() -> None:
        while not companion.should_stop():
            time.sleep(POLL_S)
        ended.set()

    receiver = KINDS[setup.kind](setup.to)
    threading.Thread(target=watch, name="run-watch", daemon=True).start()
    run_bridge(receiver, setup.options, companion.say, ended)
