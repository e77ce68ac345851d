"""``.csv``: a row for each joint of each frame, with a header. Every number reads back to the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egostream.annotate.closing import close_quietly
from egostream.annotate.contract import RecordingFacts
from egostream.annotate.rows import COLUMNS, columns_of
from egostream.skeleton import JOINTS
from egostream.types import Pose


class CsvWriter:
    """Writes CSV (RFC 4180 but for the line's end, a single LF)."""

    def __init__(self, path: Path, facts: RecordingFacts):
        self.file = open(path, "w", encoding="utf-8", newline="\n")
        self.file.write(",".join(column.name for column in COLUMNS) + "\n")

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Write 15 rows."""
        columns = columns_of([pose])
        texts = [texts_of(name, values) for name, values in columns.items()]
        self.file.writelines(",".join(row) + "\n" for row in zip(*texts))

    def finish(self) -> None:
        """Close the file."""
        self.file.close()

    def close(self) -> None:
        """Let the file go."""
        close_quietly(self.file)


def texts_of(name: str, values: np.ndarray) -> list[str]:
    """A column's values as text: the shortest that reads back to the same number of its type."""
    return [JOINTS[index] for index in values] if name == "joint" else [str(value) for value in values]
