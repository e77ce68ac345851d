"""A file that a child keeps writing and its parent reads: how many inputs were tried, and the one that is tried now.

The file is mapped by both, so that what a child wrote outlives it, however it ends.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

#: tried, findings, peak growth in bytes, length of the input that is being tried.
HEAD = struct.Struct("<QQQQ")
LONGEST_INPUT = 4 << 20


class Written(NamedTuple):
    """What stands on a tape."""

    tried: int
    findings: int
    growth: int  # bytes by which the child's memory grew at most
    current: bytes | None  # None: between two inputs


class Tape:
    """The mapped file. It is made where it is not there yet."""

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(bytes(HEAD.size + LONGEST_INPUT))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def begin(self, data: bytes) -> None:
        """Note the input that is tried now."""
        kept = data[:LONGEST_INPUT]
        self.map[HEAD.size : HEAD.size + len(kept)] = kept
        tried, findings, growth, _ = HEAD.unpack_from(self.map)
        HEAD.pack_into(self.map, 0, tried, findings, growth, len(kept) + 1)

    def end(self, growth: int, is_finding: bool) -> None:
        """Note that it was tried."""
        tried, findings, most, _ = HEAD.unpack_from(self.map)
        HEAD.pack_into(self.map, 0, tried + 1, findings + is_finding, max(most, growth), 0)

    def read(self) -> Written:
        """What stands there now."""
        tried, findings, growth, length = HEAD.unpack_from(self.map)
        current = bytes(self.map[HEAD.size : HEAD.size + length - 1]) if length else None
        return Written(tried, findings, growth, current)
