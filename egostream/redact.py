"""What may be shown of a source."""

from __future__ import annotations

import re

#: A URL's user and password: all up to the last @ before the path. A password may hold a slash that is not written as
#: %2F; then what stands before it looks like a host with a port that is no number.
USER = re.compile(r"://(?:[^/@]*:(?!\d*/)[^/@]+/[^@]*|[^/]*)@")
#: Fields of a query that let people in, as cameras and SRT name them.
QUERY = re.compile(
    r"([?&;](?:u|p|pw|[^=&;#]*(?:pass|pwd|psw|user|usr|login|account|token|key|auth|secret|sig|credential|streamid)"
    r"[^=&;#]*)=)[^&;#]+",
    re.IGNORECASE,
)


def without_password(source: str) -> str:
    """A source for showing and publishing: a stream URL's user and password are nobody's business."""
    printable = source.encode(errors="replace").decode()  # a path need not be UTF-8
    if "://" not in printable:
        return printable
    return QUERY.sub(r"\1***", USER.sub("://***@", printable))
