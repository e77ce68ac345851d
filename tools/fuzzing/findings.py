"""Findings as files: the input by itself, and beside it what it did and the command that does it again."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path

#: Tries that go into making an input shorter.
SHORTENING_TRIES = 400


def kind_of(error: BaseException) -> str:
    """What kind a failure is: its exception, and the last line of this project's that it passed."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if is_ours(frame.filename)]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside"
    return f"{type(error).__name__} at {where}"


def is_ours(file: str) -> bool:
    """Whether a source file is the program's or a target's."""
    return "/egostream/" in file and "/site-packages/" not in file or file.endswith("targets.py")


def shortened(data: bytes, is_same: Callable[[bytes], bool]) -> bytes:
    """A shorter input for which ``is_same`` still holds, by leaving out ever smaller parts."""
    tries, part = 0, max(1, len(data) // 2)
    while tries < SHORTENING_TRIES:
        at = 0
        while at < len(data) and tries < SHORTENING_TRIES:
            tries += 1
            less = data[:at] + data[at + part :]
            if is_same(less):
                data = less
            else:
                at += part
        if part == 1:
            return data
        part //= 2
    return data


def keep(folder: Path, target: str, data: bytes, kind: str, details: str) -> Path:
    """Write a finding. Returns the file of its input."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    again = f"python tools/fuzz.py --target {target} --replay {path}"
    path.with_suffix(".txt").write_text(f"{kind}\n\n{again}\n\n{details}\n", errors="replace")
    return path
