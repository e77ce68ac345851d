"""Waiting for a semaphore by a clock that nobody sets."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.synchronize import Semaphore


class TimeSpec(ctypes.Structure):
    """C's ``struct timespec``."""

    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


@cache
def clock_wait() -> Callable[..., int] | None:
    """glibc's sem_clockwait (2.30 and later); None where there is none."""
    try:
        return ctypes.CDLL(None).sem_clockwait if sys.platform == "linux" else None
    except (OSError, AttributeError):
        return None


def wait(semaphore: Semaphore, seconds: float) -> bool:
    """Take a semaphore within so long, and say whether it was there. A signal may end the waiting before.

    Python's own ``acquire`` waits until a time of day: when the clock is set back by an hour meanwhile, for an hour.
    """
    wait_until = clock_wait()
    if wait_until is None:
        return semaphore.acquire(timeout=seconds)
    due_ns = time.monotonic_ns() + round(max(seconds, 0.0) * 1e9)
    due = TimeSpec(*divmod(due_ns, 1_000_000_000))
    handle = ctypes.c_void_p(semaphore._semlock.handle)  # type: ignore[attr-defined]
    return wait_until(handle, time.CLOCK_MONOTONIC, ctypes.byref(due)) == 0
