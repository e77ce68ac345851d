"""Locks on files and folders: who made a thing still lives. A lock goes with its process, however that ends."""

from __future__ import annotations

import os
from pathlib import Path

#: To open a folder by, and nothing else where the system can tell.
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def lock(path: str | Path, flags: int = FOLDER) -> int | None:
    """A descriptor that keeps a file or folder locked until it is closed, or its process ends.

    None where somebody else has it, where it is gone, and on systems without such locks. flags: to open it by.
    """
    try:
        import fcntl

        descriptor = os.open(path, flags)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
