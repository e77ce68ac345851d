"""Recorded clips from files, folders and archives: on the floor, facing ahead, cut where a joint jumps."""

from __future__ import annotations

import io
import logging
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from egostream.errors import EgostreamError
from tools.synthetic.movement.bvh_skeletons import movement_of_bvh
from tools.synthetic.movement.deepmimic import movement_of_deepmimic
from tools.synthetic.movement.movement import Movement, crop, moved, sole_points, turn
from tools.synthetic.movement.points import movements_of_points
from tools.synthetic.movement.recording import MIN_FRAMES, Unusable
from tools.synthetic.movement.rotations import angle_between, heading
from tools.synthetic.movement.segments import local_rotations

log = logging.getLogger(__name__)


SUFFIXES = (".bvh", ".txt", ".json", ".npz")


ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


FORMATS = "a .bvh file, a DeepMimic .txt or .json, a .npz of points, a folder or a .tar.gz or .zip archive of them"


FLOOR_PERCENTILE = 0.5  # of the frames' lowest sole points: a few that dip into the floor do not lift the whole clip


MAX_RATE = (
    55.0  # rad/s of a joint against its parent; faster is no movement: a lost marker, a T-pose before the recording
)


MIN_SECONDS = 0.5  # of what remains between such jumps


def pieces(movement: Movement) -> list[Movement]:
    """The clip on its floor, cut where a joint jumps. Each piece starts at x = z = 0 and faces +Z.

    A cut piece names its frames.
    The floor is that of the whole clip: its feet's lowest points. A piece of it may be in the air.
    """
    movement = moved(movement, (0.0, -np.percentile(sole_points(movement)[..., 1].min((1, 2)), FLOOR_PERCENTILE), 0.0))
    local = local_rotations(movement.rotations)
    jumps = (angle_between(local[1:], local[:-1]) * movement.fps > MAX_RATE).any(1)
    bounds = [0, *(np.flatnonzero(jumps) + 1), len(movement)]
    runs = [(a, b) for a, b in zip(bounds, bounds[1:]) if b - a >= max(MIN_FRAMES, MIN_SECONDS * movement.fps)]
    if not runs:
        raise Unusable(
            f"no {MIN_SECONDS} s of it are free of jumps "
            f"({len(movement) / movement.fps:.2f} s, {len(bounds) - 2} jumps)"
        )
    parts = [
        replace(crop(movement, a, b), name=f"{movement.name}[{a}:{b}]") if b - a < len(movement) else movement
        for a, b in runs
    ]
    return [started_at_origin(part) for part in parts]


def started_at_origin(movement: Movement) -> Movement:
    """The movement displaced and turned to begin at x = z = 0, facing +Z."""
    movement = moved(movement, (-movement.root[0, 0], 0.0, -movement.root[0, 2]))
    return turn(movement, -float(heading(movement.rotations[0, 0])))


def read_clips(path: Path) -> list[Movement]:
    """Every movement in a file, a folder (with all below it) or an archive, in order of their names.

    Feet are on the floor; the body starts at x = z = 0 and faces +Z. A clip with jumps gives the pieces between them.
    What is left out is logged, damaged files by name. Raises EgostreamError when nothing is left, or when the path
    cannot be read.
    """
    path = Path(path)
    movements: list[Movement] = []
    skipped: Counter[str] = Counter()
    damaged: list[str] = []

    def leave_out(name: str, reason: Unusable) -> None:
        damaged.append(f"{name}: {reason}")
        log.warning("%s left out: %s", name, reason)

    for name, data in contents(path, skipped):
        if is_note(name, data):
            skipped[PurePosixPath(name).suffix] += 1
            continue
        try:
            clips = clips_in(name, data)
        except Unusable as reason:
            leave_out(name, reason)
            continue
        for clip in clips:
            try:
                movements += pieces(clip)
            except Unusable as reason:
                leave_out(clip.source, reason)
    others = ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))
    log.info("%s: %d motions, %d unusable files, not motion: %s", path, len(movements), len(damaged), others or "none")
    if not movements:
        why = damaged[0] if damaged else f"it holds {others or 'no files'}"
        raise EgostreamError(f"no usable motion in {path} ({why}). Give {FORMATS}")
    return movements


def is_note(name: str, data: bytes) -> bool:
    """Whether a text file holds no JSON, but notes or a licence."""
    return name.lower().endswith(".txt") and not data.lstrip().startswith(b"{")


def clips_in(name: str, data: bytes) -> list[Movement]:
    """The movements in a file's content. Raises Unusable."""
    if name.lower().endswith(".npz"):
        return movements_of_points(data, name)
    text = data.decode("utf-8", errors="replace")
    return [movement_of_bvh(text, name) if name.lower().endswith(".bvh") else movement_of_deepmimic(text, name)]


def take_of(name: str) -> str:
    """A take's name without what differs between collections and pieces: 002_03, 02_03#2 and 02_03[5:90] are one."""
    return re.sub(r"(^|_)0+(?=\d)", r"\1", re.split(r"[\[#]", name)[0])


def contents(path: Path, skipped: Counter) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the movement files at ``path``; counts the others by suffix. Archives are read in memory."""
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            for file in files:
                if file.name.lower().endswith(ARCHIVES):
                    yield from members(file, skipped)
                elif wanted(file.name, skipped):
                    yield str(file.relative_to(path)), file.read_bytes()
        elif path.name.lower().endswith(ARCHIVES):
            yield from members(path, skipped)
        elif path.name.lower().endswith(SUFFIXES) or not path.exists():
            yield path.name, path.read_bytes()
        else:
            raise EgostreamError(f"{path} is no motion file. Give {FORMATS}")
    except OSError as error:
        raise EgostreamError(f"motion {path} cannot be read: {error.strerror or error}. Give {FORMATS}") from None


def wanted(name: str, skipped: Counter) -> bool:
    """Whether a file may hold motion, by its suffix; counts those that cannot."""
    if name.lower().endswith(SUFFIXES):
        return True
    skipped[PurePosixPath(name).suffix or PurePosixPath(name).name] += 1
    return False


def members(path: Path, skipped: Counter) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the motion files in an archive; counts the others by suffix."""
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
                yield from ((name, archive.read(name)) for name in names if wanted(name, skipped))
        else:
            with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
                files = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
                for file in (file for file in files if wanted(file.name, skipped)):
                    if content := archive.extractfile(file):
                        yield file.name, content.read()
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise EgostreamError(f"archive {path} is damaged ({reason}). Download it again") from None
