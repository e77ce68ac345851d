"""Where recordings come from and files go: this machine's paths, or any place that fsspec knows (s3://, gs://, ...)."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from egostream.capture.image_folder import pictures_in
from egostream.capture.source_text import local_path, scheme_of
from egostream.capture.sources import STREAM_SCHEMES
from egostream.errors import EgostreamError, first_line
from egostream.files import replacing
from egostream.redact import without_password

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class CannotWrite(EgostreamError):
    """A file of poses cannot be written. What comes after it could not be written either."""


def is_remote(place: str) -> bool:
    """Whether a place is fsspec's to reach. Paths, file:// and what ``--source`` reads by itself are not."""
    return scheme_of(place) not in ("", "file", *STREAM_SCHEMES)


def reach(place: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a remote place, and the place's path in it. Raises EgostreamError."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(place)
    except ImportError as error:
        needed = "fsspec" if error.name == "fsspec" else first_line(error)
        raise EgostreamError(f"{without_password(place)}: {needed} is needed: pip install 'egostream[ray]'") from None
    except (ValueError, OSError) as error:
        raise EgostreamError(f"{without_password(place)} cannot be reached: {first_line(error)}") from None


def size_of(place: str) -> int:
    """Bytes of a recording, as far as they are told at once; 1 where they are not. Only shares matter."""
    try:
        if is_remote(place):
            system, path = reach(place)
            return int(system.info(path).get("size") or 1)
        local = local_path(place)
        files = pictures_in(local) if local.is_dir() else [local]
        return max(1, sum(file.stat().st_size for file in files))
    except OSError:
        return 1


def is_there(place: str) -> bool:
    """Whether a file lies at a place. Raises EgostreamError where a folder does."""
    if is_remote(place):
        system, path = reach(place)
        return bool(system.exists(path))
    local = local_path(place)
    if local.is_dir():
        raise EgostreamError(f"{place} is a folder; a file was to be written there. Choose another name")
    return local.exists()


def check_writable(place: str) -> None:
    """Make the folder of an output, and see whether files can be made in it. Raises CannotWrite."""
    if is_remote(place):
        reach(place)
        return
    folder = local_path(place).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotWrite(f"cannot write into {folder}: {error.strerror}. Choose another place: -o") from None


@contextlib.contextmanager
def fetched(source: str) -> Iterator[str]:
    """Context with a source that this machine can open: itself, or a copy in the temporary folder. Raises
    EgostreamError.
    """
    if not is_remote(source):
        yield source
        return
    system, path = reach(source)
    with tempfile.TemporaryDirectory(prefix="egostream-") as folder:
        copy = os.path.join(folder, PurePosixPath(path).name)
        try:
            system.get(path, copy, recursive=system.isdir(path))
        except (OSError, ValueError) as error:
            raise EgostreamError(f"{without_password(source)} cannot be fetched: {first_line(error)}") from None
        yield copy


def draft_name(place: str, pid: int) -> str:
    """The name of a file while the process ``pid`` writes it. It is hidden, and ends as the file itself."""
    return f".{pid}.{PurePosixPath(place).name if is_remote(place) else local_path(place).name}"


@contextlib.contextmanager
def drafts_of(places: Sequence[str]) -> Iterator[list[Path]]:
    """Context with a draft for each place. At the end the drafts get their names; an error takes them all away.

    Raises CannotWrite.
    """
    with contextlib.ExitStack() as stack:
        drafts = []
        for place in places:
            with writing(place):
                drafts.append(stack.enter_context(draft_of(place)))
        yield drafts
        with writing(", ".join(places)):
            stack.pop_all().close()


@contextlib.contextmanager
def writing(place: str) -> Iterator[None]:
    """Context in which an OSError is one of writing to that place. Raises CannotWrite."""
    try:
        yield
    except OSError as error:
        raise cannot_write(place, error) from None


@contextlib.contextmanager
def draft_of(place: str) -> Iterator[Path]:
    """Context with the draft of one place. Raises OSError."""
    name = draft_name(place, os.getpid())
    if not is_remote(place):
        path = local_path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, name) as draft:
            yield draft
        return
    system, path_there = reach(place)
    with tempfile.TemporaryDirectory(prefix="egostream-") as folder:
        draft = Path(folder) / name
        yield draft
        upload(system, draft, path_there)


def upload(system: AbstractFileSystem, draft: Path, path: str) -> None:
    """Put a file to a remote path, by another name first: half a file never has its name."""
    parent = str(PurePosixPath(path).parent)
    system.makedirs(parent, exist_ok=True)
    there = f"{parent}/{draft.name}"
    system.put_file(str(draft), there)
    system.mv(there, path)


def cannot_write(place: str, error: Any) -> CannotWrite:
    """The error of a place that cannot be written."""
    reason = getattr(error, "strerror", None) or first_line(error)
    return CannotWrite(
        f"cannot write {without_password(place)}: {reason}. Free some space, or choose another place (-o), and run the "
        "same command again: what is done is not done again"
    )


def sweep(places: Sequence[str], pid: int) -> None:
    """Take away the drafts that a killed process left."""
    for place in places:
        if not is_remote(place):
            with contextlib.suppress(OSError):
                local_path(place).with_name(draft_name(place, pid)).unlink(missing_ok=True)
