"""Named shared memory with a typed view, created by the supervisor and attached by its children."""

from __future__ import annotations

import os
import secrets
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from egostream.errors import EgostreamError
from egostream.locks import lock

SHM = "/dev/shm"  # Linux's files of shared memory
PREFIX = "egostream-"  # of their names
YOUNG_S = 10.0


def hold(name: str) -> int | None:
    """Show by a lock that a piece of shared memory has an owner that lives. The lock goes with the process.

    Returns the descriptor that holds it; None where it has another owner, or shared memory is no file.
    """
    return lock(f"{SHM}/{name}", os.O_RDWR)


def sweep() -> int:
    """Remove shared memory of runs that were killed with all their processes. Returns how many pieces there were.

    What is younger than YOUNG_S may not have been claimed yet.
    """
    try:
        found = [entry for entry in os.scandir(SHM) if entry.name.startswith(PREFIX)]
    except OSError:
        return 0
    return sum(is_orphan(entry) and is_removed(entry.path) for entry in found)


def is_orphan(entry: os.DirEntry[str]) -> bool:
    """Whether a piece of shared memory has no owner that lives."""
    if age_s(entry.name) < YOUNG_S or (claim := hold(entry.name)) is None:
        return False
    os.close(claim)
    return True


def new_name() -> str:
    """A name that no other piece has. It tells when it was made, by the clock that nobody sets."""
    return f"{PREFIX}{int(time.monotonic()):x}-{secrets.token_hex(4)}"


def age_s(name: str) -> float:
    """Seconds since a piece was made, by its name; infinite for a name that does not tell."""
    try:
        return time.monotonic() - int(name.removeprefix(PREFIX).partition("-")[0], 16)
    except ValueError:
        return float("inf")


def is_removed(path: str) -> bool:
    """Remove a file; False where that is not allowed, as of another user's."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def create(name: str, size: int) -> SharedMemory:
    """New shared memory of ``size`` bytes. Raises OSError.

    Where there is a name but no memory (a limit on files or addresses), Python forgets what it has not noted yet, and
    its tracker prints a traceback. So the name is noted before, and forgotten in any case.
    """
    if os.name != "posix":
        return SharedMemory(name, create=True, size=size)
    tracked = f"/{name}", "shared_memory"
    resource_tracker.register(*tracked)  # twice is as good as once
    try:
        return SharedMemory(name, create=True, size=size)
    except OSError:
        resource_tracker.register(*tracked)
        resource_tracker.unregister(*tracked)
        raise


class SharedRecord:
    """One structured record in shared memory. Fields are read and written as items: ``record["beat_ns"]``.

    Its memory is taken when it is created: where there is none left, what touches it later is killed. Large records
    that may never be used say ``is_reserved = False``, and call ``reserve`` before they are written.
    """

    dtype: np.dtype
    is_reserved = True

    def __init__(self, name: str | None = None):
        """Create it (no name) or attach to one by name. Raises EgostreamError where there is no memory for it."""
        self.is_owner = name is None
        own_name = new_name()
        try:
            self.memory = SharedMemory(name) if name else create(own_name, self.dtype.itemsize)
        except OSError as error:
            raise EgostreamError(
                f"no shared memory can be made: {error.strerror or error}. "
                f"Look at it: df {SHM}; in a container: docker run --shm-size 256m"
            ) from None
        self.record = np.ndarray((), self.dtype, buffer=self.memory.buf)  # zero, as all new shared memory is
        self.claim = hold(own_name) if self.is_owner else None
        if self.is_owner and self.is_reserved and not self.reserve():
            self.close()
            raise EgostreamError(
                f"shared memory is full: {self.dtype.itemsize >> 10} KiB more are needed. Look at it: df {SHM}; "
                "in a container: docker run --shm-size 256m"
            )

    def reserve(self) -> bool:
        """Take the record's memory now. False: there is not so much. Systems that keep no files of it find it later."""
        path = f"{SHM}/{self.memory.name.lstrip('/')}"
        if not os.path.exists(path) or not hasattr(os, "posix_fallocate"):
            return True
        file = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(file, 0, self.dtype.itemsize)
        except OSError:
            return False
        finally:
            os.close(file)
        return True

    @property
    def name(self) -> str:
        """By which other processes attach."""
        return self.memory.name

    def __getitem__(self, field: str) -> Any:
        """A field's value: a number, or the bytes of a text."""
        return self.record[field][()]

    def __setitem__(self, field: str, value: Any) -> None:
        self.record[field] = value

    def close(self) -> None:
        """Detach; the owner also removes it."""
        del self.record  # our own view: it would keep the mapping open
        try:
            self.memory.close()
        except BufferError:
            pass  # a view is still alive somewhere: the mapping goes with the process
        if self.is_owner:
            if self.claim is not None:
                os.close(self.claim)
            self.memory.unlink()
