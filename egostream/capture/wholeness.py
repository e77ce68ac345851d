"""Whether a video file ends where its container says that it does, seen from the container's outermost lengths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

#: Outermost pieces that are looked at. A fragmented MP4 has two for each fragment; ten hours of one a second fit.
MOST_PIECES = 100_000
EBML_HEADER = b"\x1a\x45\xdf\xa3"
TS_SYNC = 0x47
TS_PACKET_SIZE = 188


def missing_end(path: Path) -> str:
    """What is missing at a file's end, for people; empty when nothing is, or when the format does not tell."""
    try:
        with open(path, "rb") as file:
            return missing_end_of(file, os.fstat(file.fileno()).st_size)
    except OSError:
        return ""


def missing_end_of(file: BinaryIO, size: int) -> str:
    """What is missing at the end of an open file of ``size`` bytes; empty when nothing is."""
    head = file.read(TS_PACKET_SIZE + 1)
    if head[:4] == b"RIFF":
        return missing_of_riff(file, size)
    if head[:4] == EBML_HEADER:
        return missing_of_matroska(file, size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return missing_of_mp4(file, size)
    if len(head) > TS_PACKET_SIZE and head[0] == head[TS_PACKET_SIZE] == TS_SYNC and size % TS_PACKET_SIZE:
        return "its last packet is cut"
    return ""


def missing_of_riff(file: BinaryIO, size: int) -> str:
    """What is missing of an AVI file: long ones have several RIFF pieces, and one that was not closed has no length."""
    at = 0
    for _ in range(MOST_PIECES):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return ""
        length = int.from_bytes(head[4:], "little")
        if length in (0, 0xFFFFFFFF):
            return "it was never closed"
        at += 8 + length + length % 2
        if at > size + 1:  # the padding of the last piece may be left out
            return shortfall(at, size)
    return ""


def missing_of_mp4(file: BinaryIO, size: int) -> str:
    """What is missing of an MP4 or MOV file, by the lengths of its boxes."""
    at = 0
    for _ in range(MOST_PIECES):
        file.seek(at)
        head = file.read(16)
        length, kind, least = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, least = int.from_bytes(head[8:16], "big"), 16
        if len(head) < 8 or not kind.isalnum() or length < least:  # the end, something else behind it, or "to the end"
            return ""
        at += length
        if at > size:
            return shortfall(at, size)
    return ""


def missing_of_matroska(file: BinaryIO, size: int) -> str:
    """What is missing of a Matroska or WebM file, by the length of its segment; live recordings tell none."""
    at = 0
    for _ in range(MOST_PIECES):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12:
            return ""
        id_size, length_size = vint_size(head[0]), vint_size(head[vint_size(head[0])]) if vint_size(head[0]) < 5 else 9
        if id_size > 4 or length_size > 8:
            return ""
        bits = 7 * length_size
        length = int.from_bytes(head[id_size : id_size + length_size], "big") & ((1 << bits) - 1)
        if length == (1 << bits) - 1:
            return ""
        at += id_size + length_size + length
        if at > size:
            return shortfall(at, size)
    return ""


def vint_size(first: int) -> int:
    """How many bytes an EBML number has, by its first byte; 9 of none."""
    return 9 - first.bit_length()


def shortfall(wanted: int, size: int) -> str:
    """Too few bytes, for people."""
    return f"{wanted - size} of its {wanted} bytes are missing"
