"""What ``egostream cache`` shows and clears: compiled engines, untrained weights, logs, and what was left half-made."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from egostream.errors import EgostreamError
from egostream.files import cache_folder
from egostream.locks import lock

GIB = 1 << 30
#: A draft of a file that nobody has written to for this long, seconds, was left by a program that was killed. Drafts of
#: folders are locked by their makers; where no such locks are, age tells of these, too.
ABANDONED_S = 3600.0


@dataclass(frozen=True)
class Entry:
    """A folder or file of the cache that is kept or cleared as a whole."""

    path: Path
    nbytes: int
    changed_s: float  # Unix time of the newest change in it
    is_draft: bool  # half-made: its name begins with a dot

    @property
    def name(self) -> str:
        """Its place in the cache."""
        return self.path.relative_to(cache_folder()).as_posix()


def show_cache(clear: bool, keep_gib: float | None, as_json: bool) -> None:
    """Print what is in the cache, or clear it: all of it, or the oldest until ``keep_gib`` GiB are left.

    Drafts that a killed program left are always cleared; a draft that somebody works on is left alone. Raises
    EgostreamError where something cannot be removed.
    """
    found = entries()
    limit = 0.0 if clear else keep_gib
    doomed = too_many(found, limit)
    for entry in doomed:
        remove(entry.path)
    kept = [entry for entry in found if entry not in doomed]
    if as_json:
        facts = [{"name": one.name, "bytes": one.nbytes, "changed_s": one.changed_s} for one in kept]
        cleared = sum(one.nbytes for one in doomed)
        typer.echo(json.dumps({"folder": str(cache_folder()), "entries": facts, "cleared_bytes": cleared}, indent=2))
        return
    for one in kept:
        typer.echo(f"{one.nbytes / 2**20:8.1f} MiB  {one.name}{' (being made)' if one.is_draft else ''}")
    typer.echo(f"{sum(one.nbytes for one in kept) / 2**20:8.1f} MiB  {cache_folder()}")
    if doomed:
        typer.echo(
            f"{sum(one.nbytes for one in doomed) / 2**20:8.1f} MiB cleared, {len(doomed)} of {len(found)} entries"
        )


def entries() -> list[Entry]:
    """What is in the cache, oldest first."""
    root = cache_folder()
    paths = [*root.glob("engines/*/*"), *root.glob("weights/*"), *root.glob("logs/*"), *root.glob("*.timings")]
    return sorted((looked_at(path) for path in paths), key=lambda entry: entry.changed_s)


def looked_at(path: Path) -> Entry:
    """An entry's size and age; what goes away meanwhile counts as empty and old."""
    nbytes, changed_s = 0, 0.0
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        try:
            at = one.stat()
        except OSError:
            continue
        nbytes, changed_s = nbytes + (at.st_size if one.is_file() else 0), max(changed_s, at.st_mtime)
    return Entry(path, nbytes, changed_s, path.name.startswith("."))


def too_many(found: list[Entry], limit_gib: float | None) -> list[Entry]:
    """What is to go: abandoned drafts, and the oldest beyond the limit (None: there is none). found: sorted by age."""
    doomed = [entry for entry in found if entry.is_draft and is_abandoned(entry)]
    left = sum(entry.nbytes for entry in found if entry not in doomed)
    for entry in found:
        if limit_gib is not None and left > limit_gib * GIB and not entry.is_draft:
            doomed.append(entry)
            left -= entry.nbytes
    return doomed


def is_abandoned(entry: Entry) -> bool:
    """Whether a killed program left a draft."""
    if (claim := lock(entry.path)) is not None:
        os.close(claim)
        return True
    has_locks = entry.path.is_dir() and sys.platform != "win32"
    return not has_locks and time.time() - entry.changed_s > ABANDONED_S


def remove(path: Path) -> None:
    """Remove a folder or file of the cache. A run that has loaded an engine goes on with it. Raises EgostreamError."""
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EgostreamError(f"{path} cannot be removed: {error.strerror}. Remove it by hand") from None
