"""What may be shown of a source."""

from __future__ import annotations

import re


def without_password(source: str) -> str:
    """A source for showing and publishing: a stream URL's user and password are nobody's business."""
    printable = source.encode(errors="replace").decode()  # a path need not be UTF-8
    return re.sub(r"://[^/]*@", "://***@", printable)
