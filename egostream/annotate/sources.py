"""From what is named on the command line to recordings: files, folders of images, folders of recordings, globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from egostream.annotate.formats import OVERLAY_SUFFIX
from egostream.annotate.places import is_remote, reach
from egostream.capture.image_folder import IMAGE_SUFFIXES, natural_key
from egostream.capture.source_text import local_path, path_of_url, scheme_of
from egostream.capture.sources import check_source
from egostream.errors import EgostreamError
from egostream.redact import without_password
from egostream.track.recorded import refuse_live

#: What recordings in a folder end in. A file that is named itself may end in anything.
RECORDING_SUFFIXES = {
    ".3gp", ".avi", ".dv", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv",
    ".ts", ".webm", ".wmv",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A recording, and where it lies below what was named."""

    source: str  # as ``--source`` takes it, or a remote place
    name: str  # of its file or folder
    below: str = ""  # folders between what was named and it; empty: none

    @property
    def stem(self) -> str:
        """Its name without a recording's suffix."""
        path = PurePath(self.name)
        return path.stem if path.suffix.lower() in RECORDING_SUFFIXES else self.name


def find_recordings(named: Sequence[str]) -> list[Found]:
    """The recordings that these texts name, in order, each once. Raises EgostreamError where there are none."""
    found: dict[str, Found] = {}
    for text in named:
        recordings = list(recordings_at(text))
        if not recordings:
            raise EgostreamError(
                f"no recordings at {without_password(text)}: a video, a folder of images, or a folder of such is wanted"
            )
        found |= {one.source: one for one in recordings if one.source not in found}
    if not found:
        raise EgostreamError("no source is named. Name videos or folders: egostream annotate walk.mp4 -o walk.parquet")
    return list(found.values())


def recordings_at(text: str) -> Iterator[Found]:
    """The recordings that one text names. Raises EgostreamError for what is not there."""
    if is_remote(text):
        yield from remote_recordings(text)
    elif text == "sample" or scheme_of(text) in ("http", "https"):
        yield Found(text, PurePosixPath(path_of_url(text)).name or text)
    elif os.path.isdir(path := local_path(text)):
        yield from recordings_in(path, path)
    elif not os.path.exists(path) and glob.has_magic(text):
        yield from matching(text)
    else:
        check_source(text)
        refuse_live(text)
        yield Found(text, path.name)


def matching(pattern: str) -> Iterator[Found]:
    """The recordings that a pattern of paths matches, ``**`` for folders at any depth."""
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    for match in in_order(Path(match) for match in glob.iglob(pattern, recursive=True)):
        if match.is_dir():
            yield from recordings_in(match, root)
        elif is_recording(match.name):
            yield found_below(match, root)


def recordings_in(folder: Path, root: Path) -> Iterator[Found]:
    """A folder as a recording, where it holds images and no videos, else all the recordings in it, at any depth.

    Hidden files and folders are passed over. Raises EgostreamError for a folder that cannot be read.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise EgostreamError(f"folder {folder} cannot be read: {error.strerror}") from None
    files = [entry for entry in entries if is_recording(entry.name) and entry.is_file()]
    if not files and any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        yield found_below(folder, root)
        return
    for entry in in_order(entries):
        if entry in files:
            yield found_below(entry, root)
        elif entry.is_dir() and not entry.is_symlink():  # a link may lead back to where it lies
            yield from recordings_in(entry, root)


def found_below(path: Path, root: Path) -> Found:
    """A recording, and where it lies below ``root``."""
    below = "" if path == root else path.relative_to(root).parent.as_posix()
    return Found(str(path), path.resolve().name, "" if below == "." else below)


def remote_recordings(place: str) -> Iterator[Found]:
    """The recordings that a remote place names: a file, a pattern, or a folder of files. Raises EgostreamError."""
    system, path = reach(place)
    paths = system.glob(path) if glob.has_magic(path) else system.find(path)
    if not paths:
        raise EgostreamError(f"no recordings at {without_password(place)}")
    fixed = PurePosixPath(path.split("*")[0].split("?")[0].split("[")[0])
    root = fixed.parent if paths == [path] or glob.has_magic(path) and not str(path).startswith(f"{fixed}/") else fixed
    for one in sorted(paths):
        if paths == [path] or is_recording(PurePosixPath(one).name):
            below = PurePosixPath(one).relative_to(root).parent.as_posix()
            yield Found(system.unstrip_protocol(one), PurePosixPath(one).name, "" if below == "." else below)


def is_recording(name: str) -> bool:
    """Whether a file in a folder is taken for a recording. Our own pictures with bones are none."""
    return PurePath(name).suffix.lower() in RECORDING_SUFFIXES and not name.endswith(OVERLAY_SUFFIX)


def in_order(paths: Iterator[Path] | list[Path]) -> list[Path]:
    """Paths as people count: walk_2 before walk_10."""
    return sorted(paths, key=lambda path: ([natural_key(Path(part)) for part in path.parts], str(path)))
