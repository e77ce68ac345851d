"""Where files live, and writing them whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from egostream.errors import EgostreamError


def cache_folder() -> Path:
    """The user's cache folder for egostream; ``EGOSTREAM_CACHE`` moves it."""
    return Path(os.environ.get("EGOSTREAM_CACHE") or user_cache_path("egostream"))


def asset(*parts: str) -> Path:
    """A file shipped with egostream: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package.joinpath("assets", *parts)
    return installed if installed.exists() else package.parent.joinpath(*parts)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Create ``folder`` by ``fill(staging)`` and one rename, so that a half-written one never has its name.

    An existing folder of that name is replaced only after the new one is complete.
    """
    folder = Path(folder)
    staging = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        fill(staging)
        if folder.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(replaced / "old")
            staging.rename(folder)
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            staging.rename(folder)
            os.chmod(folder, 0o755)  # mkdtemp makes private folders
    except OSError as error:
        raise EgostreamError(
            f"cannot write {folder}: {error.strerror or error}. Free some space, or choose another place (EGOSTREAM_CACHE)"
        ) from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
