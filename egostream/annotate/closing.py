"""Letting files go that could not be written to the end."""

from __future__ import annotations

import contextlib
from typing import Protocol


class Closable(Protocol):
    """Whatever is open."""

    def close(self) -> object:
        """Close it. May raise."""


def close_quietly(file: Closable) -> None:
    """Close a file of which nothing will be used: what closing complains of was complained of before."""
    with contextlib.suppress(Exception):
        file.close()
