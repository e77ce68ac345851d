"""What an http or https URL answers: a recording, which has a length and an end, or a stream that goes on."""

from __future__ import annotations

import base64
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from egostream.capture.clips import Video
from egostream.capture.source_text import path_of_url
from egostream.errors import EgostreamError
from egostream.redact import without_password

#: A server must have answered within this, seconds, or the URL is taken as a live stream.
LOOK_S = 2.0
#: Without a byte for so long, seconds, fetching a recording fails. Chosen by hand; not measured.
SILENT_S = 20.0
#: Bytes of the answer that are looked at: enough for the first line of a playlist.
LOOKED_BYTES = 64
PLAYLIST_START = b"#EXTM3U"


@dataclass(frozen=True)
class Look:
    """What came of looking at a URL."""

    is_recording: bool
    note: str = ""  # what people should know; empty when it answered


@cache
def look_at(url: str) -> Look:
    """Look at an http or https URL, for LOOK_S at most. What cannot be looked at is a live stream, with a note."""
    found: list[Look] = []
    thread = threading.Thread(target=lambda: found.append(ask(url)), name="look-at-url", daemon=True)
    thread.start()
    thread.join(LOOK_S)
    late = Look(False, f"{without_password(url)} did not answer within {LOOK_S:g} s: taken as a live stream")
    return found[0] if found else late


def ask(url: str) -> Look:
    """Ask the server, without a bound on the time.

    A recording's answer has a length. Motion-JPEG has parts instead, another stream simply goes on, and a playlist is
    none itself.
    """
    try:
        with connect(url, LOOK_S) as answer:
            length = int(answer.headers.get("Content-Length") or 0)
            kind = answer.headers.get_content_maintype()
            is_whole = length > 0 and kind != "multipart"
            return Look(is_whole and not answer.read(LOOKED_BYTES).lstrip().startswith(PLAYLIST_START))
    except failures() as error:
        return Look(
            False, f"{without_password(url)} could not be looked at ({reason_of(error)}): taken as a live stream"
        )


def connect(url: str, timeout_s: float) -> Any:
    """The open answer to a request for a URL, which may hold a name and password. Raises one of ``failures``.

    A certificate is not checked, since FFmpeg checks none either when it reads a stream, and cameras make their own.
    """
    import ssl  # with urllib.request 3 MB that only such sources need
    import urllib.request

    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))
    request = urllib.request.Request(plain, headers={"User-Agent": "egostream"})
    if user:
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return urllib.request.urlopen(request, timeout=timeout_s, context=context)


def failures() -> tuple[type[Exception], ...]:
    """What may be raised where a server is asked."""
    from http.client import HTTPException

    return OSError, ValueError, HTTPException


def reason_of(error: Exception) -> str:
    """An error of ``failures`` in words, without the URL."""
    if code := getattr(error, "code", 0):
        return f"HTTP {code} {getattr(error, 'reason', '')}"
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or type(reason).__name__


class FetchedVideo(Video):
    """A recording at a URL: it is fetched once, and played from its own copy, which goes with this object.

    Played over the network it would wait for the network, and a container whose index stands at its end could only be
    read with many requests. fps: as of ``Video``. say: called with a note before it is fetched.
    """

    def __init__(self, url: str, fps: float, say: Callable[[str], None]):
        super().__init__(Path(name_of(url)), fps)
        self.url, self.say = url, say
        self.folder: tempfile.TemporaryDirectory | None = None

    def open(self) -> None:
        """Fetch it, the first time, and go to the first frame. Raises EgostreamError."""
        if self.folder is None:
            self.path, self.folder = fetch(self.url, self.say)
        super().open()


def name_of(url: str) -> str:
    """The name of the file that a URL ends in."""
    return Path(unquote(path_of_url(url))).name or "recording"


def fetch(url: str, say: Callable[[str], None]) -> tuple[Path, tempfile.TemporaryDirectory]:
    """A copy of what lies at a URL, and the folder that it lives in. Raises EgostreamError."""
    shown, folder = without_password(url), tempfile.TemporaryDirectory(prefix="egostream-")
    path = Path(folder.name) / name_of(url)
    try:
        with connect(url, SILENT_S) as answer, open(path, "wb") as file:
            length, free = int(answer.headers.get("Content-Length") or 0), shutil.disk_usage(folder.name).free
            if length > free:
                raise EgostreamError(
                    f"recording {shown} has {length / 1e9:.1f} GB, and {folder.name} only {free / 1e9:.1f} GB left. "
                    "Free some space, or choose another place: TMPDIR=FOLDER egostream run ..."
                )
            say(f"fetching {shown}, {length / 1e6:.1f} MB")
            shutil.copyfileobj(answer, file)
    except failures() as error:
        raise EgostreamError(f"recording {shown} cannot be fetched: {reason_of(error)}. Fetch it by hand") from None
    if path.stat().st_size < length:
        raise EgostreamError(
            f"recording {shown} broke off after {path.stat().st_size} of {length} bytes. Start the run again"
        )
    return path, folder
