"""Named shared memory with a typed view, created by the supervisor and attached by its children."""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np


class SharedRecord:
    """One structured record in shared memory. Fields are read and written as items: ``record["beat_ns"]``."""

    dtype: np.dtype

    def __init__(self, name: str | None = None):
        """Create it (no name) or attach to one by name."""
        self.is_owner = name is None
        self.memory = SharedMemory(name, create=self.is_owner, size=self.dtype.itemsize)
        self.record = np.ndarray((), self.dtype, buffer=self.memory.buf)  # zero, as all new shared memory is

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
            self.memory.unlink()
