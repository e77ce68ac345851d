"""Half-made folders: each is locked by whoever makes it, so that what a killed program left is told from the rest."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from egostream.locks import lock


@contextlib.contextmanager
def draft_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in ``parent`` whose name begins with a point and ``name``. It goes at the end, if it is there.

    Raises OSError.
    """
    while True:
        path = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        claim = lock(path)
        if claim is None or path.exists():  # else somebody who clears up has had it between these two lines
            break
        os.close(claim)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if claim is not None:
            os.close(claim)


def remove_if_abandoned(path: Path) -> bool:
    """Remove a draft that nobody makes any more; False where somebody does, or that cannot be told."""
    if (claim := lock(path)) is None:
        return False
    shutil.rmtree(path, ignore_errors=True)
    os.close(claim)
    return True


def sweep_drafts(folder: Path) -> int:
    """Remove the drafts below a folder that killed programs left, three levels deep. Returns how many there were."""
    found = [path for pattern in (".*", "*/.*", "*/*/.*") for path in folder.glob(pattern) if path.is_dir()]
    return sum(remove_if_abandoned(path) for path in found)
