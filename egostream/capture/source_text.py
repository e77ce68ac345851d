"""What the text of a source says: a URL's scheme, a path, a file that describes a live session."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from egostream.errors import EgostreamError, first_line
from egostream.redact import without_password

#: A URL's start. One letter before it is a drive, not a scheme.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
#: How a file begins that describes a live session, as RTP needs (RFC 8866).
SDP_START = b"v=0"
#: How an MCAP file begins.
MCAP_START = b"\x89MCAP0\r\n"
SDP_BYTES = 65536  # of a file that are looked at for a video session; few have 1 kB


def scheme_of(source: str) -> str:
    """A URL's scheme in small letters; empty for what is no URL."""
    found = SCHEME.match(source)
    return found[1].lower() if found else ""


def local_path(source: str) -> Path:
    """The path that a source would be, whether or not there is one: with file:// and ~ resolved."""
    path = Path(source)
    if os.path.exists(source):
        return path
    if scheme_of(source) == "file":
        text = unquote(path_of_url(source))
        return Path(text.lstrip("/") if sys.platform == "win32" else text)
    return Path(os.path.expanduser(source))


def path_of_url(url: str) -> str:
    """The path in a URL, as it is written there. Raises EgostreamError for what is no URL."""
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise EgostreamError(f"source {without_password(url)[:200]!r} is no URL: {first_line(error)}") from None


def mcap_of(source: str) -> tuple[Path, str] | None:
    """File and stream of a source that is an MCAP recording, as FILE.mcap or FILE.mcap#left; None of any other.

    The stream is empty where none is named.
    """
    if is_mcap(path := local_path(source)):
        return path, ""
    text, mark, stream = source.rpartition("#")
    return (path, stream) if mark and is_mcap(path := local_path(text)) else None


def is_mcap(path: Path) -> bool:
    """Whether a file is an MCAP recording, by its suffix or by how it begins."""
    if not os.path.isfile(path):  # also false where a name is too long
        return False
    if path.suffix.lower() == ".mcap":
        return True
    try:
        with open(path, "rb") as file:
            return file.read(len(MCAP_START)) == MCAP_START
    except OSError:
        return False


def is_session(path: Path) -> bool:
    """Whether a file describes a live session with video."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            text = file.read(SDP_BYTES) if file.read(len(SDP_START)) == SDP_START else b""
    except OSError:
        return False
    return b"\nm=video" in text


def for_ffmpeg(source: str) -> str:
    """A network stream's source as FFmpeg takes it: schemes in small letters, an SDP file as one."""
    path = local_path(source)
    if os.path.exists(path):
        return f"file:{path}"
    scheme = scheme_of(source)
    return scheme + source[len(scheme) :]
