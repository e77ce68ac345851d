"""Motion-JPEG in AVI, read without FFmpeg: what this project's tools and most cheap recorders write.

Such a file is a chain of chunks: four letters, a length, as many bytes, and a filling one where that is odd. A capture
process that plays one needs 15 MB less than with FFmpeg, and starts 0.2 s earlier. All other files are FFmpeg's, and
AVI files of any other make, too. After Microsoft's AVI RIFF reference and the OpenDML extensions, version 1.02.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from egostream.capture.held import Held
from egostream.capture.jpeg_header import jpeg_size

#: Largest header that is read, bytes; real ones have a few thousand, with index tables for OpenDML 70,000.
MOST_HEADER = 1_000_000
SEARCHED_SIZE = 65_536  # bytes that are searched at once for where chunks go on
CHUNK_HEAD = 8  # bytes: name and length
LISTS = (b"LIST", b"RIFF")


@dataclass(frozen=True)
class JpegAvi:
    """The header of a Motion-JPEG AVI file."""

    path: Path
    size: tuple[int, int]  # width and height
    interval: Fraction  # seconds that each chunk of the stream lasts
    letters: tuple[bytes, bytes]  # the names of the stream's chunks
    begins: int  # where the first chunk of data stands in the file

    def packets(self, number: int = 0, at: int = 0) -> Generator[Held]:
        """The file's JPEGs, their times counted in chunks; an empty one is a dropped frame's place.

        number, at: of the chunk to begin with, as an earlier reading found it; 0: the first one.
        """
        with open(self.path, "rb") as file:
            for ticks, (data, length, present) in enumerate(self.chunks(file, at), number):
                if length:
                    file.seek(data)
                    flaw = "" if present == length else "the picture is cut short"
                    jpeg = np.frombuffer(file.read(present), np.uint8)
                    yield Held(ticks, jpeg, flaw, 1, at=data - CHUNK_HEAD if not flaw else -1)

    def count(self) -> int:
        """JPEGs in the file."""
        with open(self.path, "rb") as file:
            return sum(length > 0 for _, length, _ in self.chunks(file))

    def chunks(self, file: BinaryIO, at: int = 0) -> Iterator[tuple[int, int, int]]:
        """The stream's chunks: where the data stands, how long it should be, and how much of it is there.

        at: where the first one stands; 0: where the data begin.
        """
        at, end = at or self.begins, os.fstat(file.fileno()).st_size
        while at + 8 <= end:
            file.seek(at)
            head = file.read(8)
            name, length = head[:4], int.from_bytes(head[4:], "little")
            if name in self.letters:
                yield at + 8, length, min(length, end - at - 8)
            elif name in LISTS:
                length = 4  # what they hold comes next
            elif not name.isalnum() or at + 8 + length > end:  # no chunk: damage, most likely of a picture's
                damaged, at = at, self.search(file, at + 1, end)
                if at < end:
                    yield damaged, at - damaged, 0
                continue
            at += 8 + length + length % 2

    def search(self, file: BinaryIO, at: int, end: int) -> int:
        """Where the stream's next chunk stands from ``at`` on; ``end`` when there is none."""
        while at < end:
            file.seek(at)
            piece = file.read(SEARCHED_SIZE)
            found = [place for letters in self.letters if (place := piece.find(letters)) >= 0]
            if found:
                return at + min(found)
            at += max(1, len(piece) - 3)
            if len(piece) < SEARCHED_SIZE:
                return end
        return end


def open_jpeg_avi(path: Path) -> JpegAvi | None:
    """The header of a Motion-JPEG AVI file with one stream of whole pictures; None for any other file."""
    try:
        with open(path, "rb") as file:
            avi = read_header(path, file)
            if avi is None:
                return None
            at, length, _ = next((chunk for chunk in avi.chunks(file) if chunk[1]), (0, 0, 0))
            file.seek(at)
            # Interlaced ones hold a JPEG for each field, of half the height.
            return avi if jpeg_size(file.read(min(length, SEARCHED_SIZE))) == avi.size else None
    except OSError:
        return None


def read_header(path: Path, file: BinaryIO) -> JpegAvi | None:
    """The header of an open AVI file with one Motion-JPEG stream; None for any other."""
    head = file.read(24)
    length = int.from_bytes(head[16:20], "little")
    if head[:4] != b"RIFF" or head[8:16] != b"AVI LIST" or head[20:24] != b"hdrl" or not 4 < length < MOST_HEADER:
        return None
    streams = [chunk for name, chunk in pieces(file.read(length - 4)) if name == b"LIST" and chunk[:4] == b"strl"]
    begins, found = 12 + 8 + length + length % 2, []
    for number, stream in enumerate(streams):
        parts = dict(pieces(stream[4:]))
        header, format = parts.get(b"strh", b""), parts.get(b"strf", b"")
        if header[:4] != b"vids":
            continue
        if len(header) < 48 or len(format) < 20 or format[16:20].upper() != b"MJPG":
            return None
        scale, rate, sample_size = (int.from_bytes(header[k : k + 4], "little") for k in (20, 24, 44))
        if not scale or not rate or sample_size:
            return None
        size = int.from_bytes(format[4:8], "little"), int.from_bytes(format[8:12], "little")
        letters = b"%02ddc" % number, b"%02ddb" % number
        found.append(JpegAvi(path, size, Fraction(scale, rate), letters, begins))
    return found[0] if len(found) == 1 else None


def pieces(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks in some bytes: name and data of each."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
