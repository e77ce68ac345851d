"""Telling systemd how the run is (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names, if any does."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """Sends READY=1 once, when the first pose is out, and WATCHDOG=1 as often as the service manager wants it.

    It never raises and never waits: a service manager that is gone does not end a run.
    """

    def __init__(self) -> None:
        self.address = os.environ.get("NOTIFY_SOCKET", "")
        watchdog_us = os.environ.get("WATCHDOG_USEC", "")
        self.period_s = int(watchdog_us) / 2e6 if watchdog_us.isdecimal() else 0.0  # half of it, as the manual says
        self.is_ready, self.next_s = False, 0.0

    def tick(self, has_poses: bool) -> None:
        """Say what there is to say now. has_poses: whether a pose was published yet."""
        if not self.address:
            return
        if has_poses and not self.is_ready:
            self.is_ready = True
            self.send("READY=1")
        if self.period_s and (now := time.monotonic()) >= self.next_s:
            self.next_s = now + self.period_s
            self.send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the run is coming to its end."""
        if self.address:
            self.send("STOPPING=1")

    def send(self, text: str) -> None:
        """Send one message; a name that begins with @ is Linux's abstract one."""
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
                datagram.setblocking(False)
                datagram.sendto(text.encode(), name)
        except (OSError, AttributeError):
            pass
