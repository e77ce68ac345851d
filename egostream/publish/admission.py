"""Which clients may connect: those whose public keys lie in a folder, which is looked at again every second."""

from __future__ import annotations

import os
import time
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from egostream.errors import EgostreamError
from egostream.publish import curve

LOOK_EVERY_S = 1.0
#: A file of the folder as it was seen: name, size, time of its last change.
Seen = frozenset[tuple[str, int, int]]


class Admission:
    """Admits the clients of a folder. ``context``: of the sockets that ask whom to admit."""

    def __init__(self, context: zmq.Context, folder: Path):
        self.folder, self.next_s = folder, 0.0
        self.authenticator = ThreadAuthenticator(context)
        self.authenticator.start()
        self.seen, self.keys = listing(folder), curve.public_keys(folder)
        self.authenticator.configure_curve(domain="*", location=os.fspath(folder))

    def has_lost_one(self) -> bool:
        """Whether a key was taken away since the last look: its holder may still be connected, and must not be.

        A folder that cannot be read, or with a file that is no certificate, stays as it was until it can be.
        """
        now = time.monotonic()
        if now < self.next_s:
            return False
        self.next_s = now + LOOK_EVERY_S
        try:
            if (seen := listing(self.folder)) == self.seen:
                return False
            keys = curve.public_keys(self.folder)
        except (EgostreamError, OSError):
            return False
        self.authenticator.configure_curve(domain="*", location=os.fspath(self.folder))
        lost = self.keys - keys
        self.seen, self.keys = seen, keys
        return bool(lost)

    def close(self) -> None:
        """Stop asking the folder."""
        self.authenticator.stop()


def listing(folder: Path) -> Seen:
    """The certificates of a folder, as far as a change of one would show. Raises OSError."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".key")]
    return frozenset((name, at.st_size, at.st_mtime_ns) for name, at in found)
