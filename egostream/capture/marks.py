"""Marks: places of a recording where reading can begin, as if all before had been read."""

from __future__ import annotations

import zlib

import msgspec

from egostream.capture.stamps import TimelineState


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A picture of a video file that stands by itself, and what was known before it.

    All that numbers and times of later frames depend on is here, so that nothing before it has to be read again.
    """

    number: int  # frames before it
    ticks: int  # its time, in the container's unit; of our own AVI reader: its chunk's number
    at: int  # where its packet stands in the file
    part: int  # number of its stretch without a break in time
    timeline: TimelineState | None = None  # before it was placed; None: it plays at a constant rate


def packed(mark: Mark) -> str:
    """A mark as text."""
    return msgspec.json.encode(mark).decode()


def unpacked(text: str) -> Mark | None:
    """Inverse of ``packed``; None for what is no mark."""
    try:
        return msgspec.json.decode(text, type=Mark)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def sealed(text: str) -> str:
    """A text with a sum, for memory in which a killed process may leave half of it."""
    return f"{zlib.crc32(text.encode()):08x}{text}"


def opened_seal(text: str) -> str:
    """Inverse of ``sealed``; empty for what is not whole."""
    return text[8:] if sealed(text[8:]) == text else ""
