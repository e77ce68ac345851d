"""What to record, and whether that can be done. It needs none of MCAP's libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError
from egostream.record.mcap_library import check_mcap


@dataclass(frozen=True)
class RecordSettings:
    """What to record, and where to."""

    path: Path
    endpoint: str
    control: str  # empty: no pictures
    streams: tuple[str, ...] = ()  # names; empty: all
    has_images: bool = True
    seconds: float = 0.0  # from the first pose on; 0: until told to stop
    keys: tuple[str, str] = ("", "")  # the publisher's public certificate, one's own secret one
    is_with_run: bool = False  # started with the run, so that it has the first pose
    asks_reset: bool = True  # ask that the past be forgotten at the start, so that a replay knows all of it


def check_recorder(path: Path) -> None:
    """Raise EgostreamError where nothing could be recorded into ``path``: before anything starts."""
    check_mcap()
    if path.exists() or path.is_symlink():
        raise EgostreamError(f"{path} exists, and a recording replaces nothing. Choose another name")
    if not path.parent.is_dir():
        raise EgostreamError(f"cannot write {path}: there is no folder {path.parent}. Make it, or choose another place")
    if not os.access(path.parent, os.W_OK):
        raise EgostreamError(f"cannot write {path}: {path.parent} may not be written to. Choose another place")
