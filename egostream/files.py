"""Where files live, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from platformdirs import user_cache_path, user_runtime_path

from egostream.drafts import draft_folder
from egostream.errors import EgostreamError


def cache_folder() -> Path:
    """The user's cache folder for egostream; ``EGOSTREAM_CACHE`` moves it."""
    return Path(os.environ.get("EGOSTREAM_CACHE") or user_cache_path("egostream"))


def runtime_folder() -> Path:
    """The user's folder for sockets, which goes when the user logs out; ``EGOSTREAM_RUNTIME`` moves it."""
    if named := os.environ.get("EGOSTREAM_RUNTIME"):
        return Path(named)
    with warnings.catch_warnings(action="ignore"):  # where a login has no such folder, one in /tmp will do
        try:
            return user_runtime_path("egostream")
        except OSError:  # it looks for a folder that it can write a file to; on a full disk there is none
            return Path(os.environ.get("TMPDIR", "/tmp"), f"runtime-{os.getuid()}", "egostream")


def asset(*parts: str) -> Path:
    """A file shipped with egostream: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package.joinpath("assets", *parts)
    return installed if installed.exists() else package.parent.joinpath(*parts)


def write_folder(folder: Path, suffixes: set[str], fill: Callable[[Path], None]) -> None:
    """Create ``folder`` by ``fill(staging)`` and one rename, so that a half-written one never has its name.

    An existing folder is replaced, after the new one is complete, only if every file in it ends in one of
    ``suffixes``: an earlier one of the same kind. Raises EgostreamError for any other, and when the disk is full.
    """
    folder = Path(folder)
    refuse_foreign(folder, suffixes)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder.parent, folder.name) as staging:
            fill(staging)
            os.chmod(staging, 0o755)  # drafts are private
            swap_in(staging, folder)
    except OSError as error:
        raise EgostreamError(
            f"cannot write {folder}: {error.strerror or error}. "
            "Free some space, or choose another place (EGOSTREAM_CACHE)"
        ) from None


def swap_in(staging: Path, folder: Path) -> None:
    """Give ``staging`` the name ``folder``, taking away what bears it.

    Other processes may do the same at the same moment (two first runs). One that puts its own whole folder there
    between our two steps has won: theirs stays.
    """
    with draft_folder(folder.parent, f"{folder.name}-old") as replaced:
        try:
            with contextlib.suppress(FileNotFoundError):
                folder.rename(replaced / "old")
            staging.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def refuse_foreign(folder: Path, suffixes: set[str]) -> None:
    """Raise when replacing ``folder`` would delete something that we did not make."""
    try:
        foreign = sorted(path.name for path in folder.iterdir() if path.is_dir() or path.suffix not in suffixes)
    except FileNotFoundError:
        return  # nothing there, or another process is just replacing it
    except NotADirectoryError:
        foreign = [folder.name]
    if folder.is_symlink():
        raise EgostreamError(f"{folder} is a link, which replacing it would break. Choose another name")
    if foreign:
        raise EgostreamError(
            f"{folder} holds other things ({foreign[0]}), which replacing it would delete. Choose another name"
        )


@contextlib.contextmanager
def replacing(path: Path, draft_name: str = "") -> Iterator[Path]:
    """Context that yields a draft beside ``path`` and gives it that name at the end. An error takes the draft away.

    draft_name: the draft's name. Empty: one of this process's own, so that several may write the same file.
    Raises OSError. What lay at ``path`` stays until the draft is complete.
    """
    draft = path.with_name(draft_name or f".{os.getpid()}.{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, advice: str = "Free some space and run the same command again") -> None:
    """Write ``data`` to ``path`` whole or not at all, by a draft and one rename. A missing folder is made.

    Raises EgostreamError, with ``advice`` as its next step, when it cannot be written; what was there then stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise EgostreamError(f"cannot write {path}: {error.strerror or error}. {advice}") from None


def read_small(path: Path, most: int = 1 << 24) -> bytes:
    """All bytes of a file. Raises OSError, also where it has more than ``most``: a device has no end."""
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 10} kB")
    return data


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def log_failure(name: str) -> str:
    """Append the current traceback to a log file and return its path."""
    path = cache_folder() / "logs" / f"{name}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}")
    except OSError:
        return "not kept, the cache folder cannot be written"
    return str(path)
