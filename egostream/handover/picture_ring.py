"""The camera's newest pictures as encoded bytes, kept only while somebody looks at them or records them.

Bytes are laid one behind the other into one block, round and round. A picture stays until newer ones need its place.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from egostream.handover.record import SharedRecord

#: Bytes of the block: a second of a 60 fps camera whose JPEGs have half a megabyte. Memory is taken when it is used.
CAPACITY = 32 << 20
#: Pictures that are remembered at most, two seconds of a 60 fps camera.
PLACES = 128
#: Pictures are kept for this long after somebody asked for one, ns. Who looks asks many times a second.
WANTED_NS = 2_000_000_000
FORMATS = ("jpeg", "png")
PLACE = np.dtype(
    [
        ("number", "i8"),  # 0: empty, or being written
        ("start", "i8"),  # in the endless row of bytes of which the block holds the end
        ("length", "i8"),
        ("seq", "i8"),
        ("segment", "i8"),
        ("t_capture_ns", "i8"),
        ("format", "i8"),  # index into FORMATS
    ]
)


class Picture(NamedTuple):
    """One picture of the camera, as it was encoded."""

    number: int  # counts the pictures that were kept, from 1
    seq: int  # of the camera's frame, as of ``CameraFrame``
    segment: int
    t_capture_ns: int
    format: str  # jpeg: the camera's own bytes, or for viewers alone; png: no bit of a raw picture is lost
    data: bytes


class PictureRing(SharedRecord):
    """Shared pictures of one stream: one writer, the capture process, and any number of readers.

    Both sides may be killed at any instant: there is no lock. A reader copies a picture out and takes it only if the
    writer did not reserve its place meanwhile.
    """

    is_reserved = False  # only while somebody looks
    dtype = np.dtype(
        [
            ("wanted_until_ns", "i8"),  # whether anybody looks
            ("exact_until_ns", "i8"),  # whether somebody records, who wants every picture and every bit
            ("written", "i8"),
            ("reserved", "i8"),  # end of what was written or is being written, in the endless row
            ("lost", "i8"),  # pictures that were wanted to the bit and could not be kept
            ("places", PLACE, (PLACES,)),
            ("block", "u1", (CAPACITY,)),
        ]
    )

    # -- readers -----------------------------------------------------------------------------------------------------

    def want(self, is_exact: bool, for_ns: int = WANTED_NS) -> None:
        """Ask that pictures be kept from now on. is_exact: every one, and no bit of it lost."""
        until_ns = time.monotonic_ns() + for_ns
        for field in ("wanted_until_ns", "exact_until_ns")[: 1 + is_exact]:
            self[field] = max(int(self[field]), until_ns)

    def newest(self) -> Picture | None:
        """The newest picture, or None."""
        return self.copy(int(self["written"]))

    def of_frame(self, seq: int | None) -> Picture | None:
        """The picture of a frame, or None where it is not kept or no frame is named."""
        places = self.record["places"]
        numbers = places["number"][(places["seq"] == seq) & (places["number"] > 0)] if seq is not None else ()
        return self.copy(int(max(numbers))) if len(numbers) else None

    def after(self, number: int, most_bytes: int) -> list[Picture]:
        """The pictures after ``number`` that are still there, oldest first, up to ``most_bytes`` but one at least."""
        found: list[Picture] = []
        written, total = int(self["written"]), 0
        for one in range(max(number, written - PLACES) + 1, written + 1):
            if (picture := self.copy(one)) is None:
                continue
            total += len(picture.data)
            if found and total > most_bytes:
                break
            found.append(picture)
        return found

    def copy(self, number: int) -> Picture | None:
        """A picture by its number; None where there is none, or newer ones took its place."""
        place = self.record["places"][number % PLACES].copy()
        if number <= 0 or place["number"] != number:
            return None
        start, length = int(place["start"]), int(place["length"])
        data = self.record["block"][start % CAPACITY :][:length].tobytes()
        if self["reserved"] - CAPACITY > start or self.record["places"][number % PLACES]["number"] != number:
            return None
        seq, segment, t_capture_ns = (int(place[field]) for field in ("seq", "segment", "t_capture_ns"))
        return Picture(number, seq, segment, t_capture_ns, FORMATS[place["format"]], data)

    # -- the writer --------------------------------------------------------------------------------------------------

    def is_wanted(self, now_ns: int) -> bool:
        """Whether anybody looks."""
        return now_ns < self["wanted_until_ns"]

    def is_exact(self, now_ns: int) -> bool:
        """Whether somebody records."""
        return now_ns < self["exact_until_ns"]

    def write(self, seq: int, segment: int, t_capture_ns: int, format: str, data: np.ndarray) -> bool:
        """Keep a picture, encoded as uint8 [n]. False: it is larger than the block."""
        length = len(data)
        if length > CAPACITY:
            return False
        start = int(self["reserved"])
        if start % CAPACITY + length > CAPACITY:  # it does not fit before the block's end
            start += CAPACITY - start % CAPACITY
        number = int(self["written"]) + 1
        place = self.record["places"][number % PLACES]
        place["number"] = 0
        self["reserved"] = start + length  # before the bytes: who copies what lies there sees that it is being replaced
        self.record["block"][start % CAPACITY :][:length] = data
        place["start"], place["length"], place["format"] = start, length, FORMATS.index(format)
        place["seq"], place["segment"], place["t_capture_ns"] = seq, segment, t_capture_ns
        place["number"] = number
        self["written"] = number
        return True
