"""What the header of an encoded picture says of its size, before anybody takes memory for it."""

from __future__ import annotations

#: Pixels of the largest picture that is decoded: 8K cameras have 33 million. A damaged header asks for billions, and
#: for minutes of time and gigabytes of memory with them.
MOST_PIXELS = 40_000_000
PNG_START, BMP_START = b"\x89PNG\r\n\x1a\n", b"BM"
HEADER_BYTES = 32


def declared_size(header: bytes) -> tuple[int, int] | None:
    """Width and height by a picture's first HEADER_BYTES: of a PNG, BMP or WebP; None of anything else."""
    if header.startswith(PNG_START):
        return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    if header.startswith(BMP_START):
        width, height = (int.from_bytes(header[at : at + 4], "little", signed=True) for at in (18, 22))
        return abs(width), abs(height)
    return webp_size(header) if header[:4] == b"RIFF" and header[8:12] == b"WEBP" else None


def webp_size(header: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP (RFC 9649): lossy, lossless, or extended."""
    kind, little = header[12:16], lambda start, end: int.from_bytes(header[start:end], "little")
    if kind == b"VP8 ":
        return little(26, 28) & 0x3FFF, little(28, 30) & 0x3FFF
    if kind == b"VP8L":
        bits = little(21, 25)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return (1 + little(24, 27), 1 + little(27, 30)) if kind == b"VP8X" else None


def is_too_large(size: tuple[int, int] | None) -> bool:
    """Whether a picture of this size is not decoded."""
    return size is not None and size[0] * size[1] > MOST_PIXELS
