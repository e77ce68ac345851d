"""What a folder of engines says of the weights that it was built of: ``built.json``, and what it says where it is none.

``tools/build_engine.py`` writes it, so that one folder names both: ``egostream run --weights engines/built/mine``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

from egostream.errors import EgostreamError, first_line
from egostream.files import read_small, write_text

FILE = "built.json"
REBUILD = "Build it again: python tools/build_engine.py --help"


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """built.json: the weights that engines were built of, and what they were built for."""

    weights_id: str
    weights: str  # their folder, seen from the engines' own where both are on one drive
    backend: str
    precisions: tuple[str, ...]
    batch: int

    def weights_folder(self, folder: Path) -> Path:
        """Where the weights lay, of engines in ``folder``. Whether they still do is not looked at."""
        return Path(os.path.normpath(folder.resolve() / self.weights))


def seen_from(folder: Path, weights: Path) -> str:
    """The path of weights as ``built.json`` in ``folder`` has it: a tree that is moved as a whole keeps it."""
    try:
        return os.path.relpath(weights.resolve(), folder.resolve())
    except ValueError:  # on another drive
        return str(weights.resolve())


def write_built(folder: Path, built: Built) -> None:
    """Write ``built.json`` into a folder. Raises OSError."""
    write_text(folder / FILE, json.dumps(msgspec.to_builtins(built), indent=2) + "\n")


def read_built(folder: Path) -> Built | None:
    """What a folder of engines was built of; None of any other folder. Raises EgostreamError where it is malformed."""
    path = folder / FILE
    if not os.path.isfile(path):  # also false of names that are too long
        return None
    try:
        return msgspec.json.decode(read_small(path), type=Built)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise EgostreamError(f"{path} is malformed: {first_line(error)}. {REBUILD}") from None


def no_weights_text(folder: Path) -> str:
    """Why a folder without ``weights.json`` is not one of weights, and what to name instead."""
    if built := read_built(folder):
        return (
            f"{folder} is not a weights folder, it holds engines of the weights {built.weights_id[:12]}. "
            f"Name those here: {built.weights_folder(folder)}"
        )
    if any(os.path.isfile(f"{engine}.json") for engine in sorted(folder.glob("*.*-b*"))[:1]):
        return (
            f"{folder} is not a weights folder, it holds engines. Name both: --weights FOLDER --engines {folder}; "
            "or build it again, then it names its weights: python tools/build_engine.py --help"
        )
    return f"{folder} is not a weights folder (no weights.json). Make one: python tools/import_checkpoint.py --help"
