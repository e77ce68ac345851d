"""A headset's poses from a CSV file, sent on time."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import LONGEST_REASON, EgostreamError, first_line, printable
from egostream.head.sender import HeadPose, HeadSender

TIMES = {"t_s": 1e9, "t_ns": 1.0}  # column of the time -> nanoseconds
POSITION, ORIENTATION, GRAVITY = ("x", "y", "z"), ("qx", "qy", "qz", "qw"), ("gx", "gy", "gz")
GROUPS: tuple[tuple[str, ...], ...] = (POSITION, ORIENTATION, GRAVITY)
HINT = (
    "Columns by name in the first line: t_s or t_ns; x,y,z (metres) with qx,qy,qz,qw; or gx,gy,gz. "
    "Axes are OpenXR's: y up, -z forward (docs/head.md)"
)


@dataclass(frozen=True)
class Row:
    """A row of the file."""

    t_ns: int  # since the first row
    pose: HeadPose


def read_head_csv(path: Path, space: str = "") -> list[Row]:
    """The poses of a file, all checked. space: what their room is called; empty: as the file is.

    Raises EgostreamError that names the line.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            time_column, groups = columns_of(path, reader.fieldnames or [])
            numbered = [
                (reader.line_num, row_of(path, reader.line_num, row, time_column, groups, space)) for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EgostreamError(f"head poses {path} cannot be read as CSV: {first_line(error)}. {HINT}") from None
    if not numbered:
        raise EgostreamError(f"head poses {path}: there is no row. {HINT}")
    for (_, before), (line, after) in zip(numbered, numbered[1:]):
        if after.t_ns <= before.t_ns:
            raise EgostreamError(
                f"head poses {path}, line {line}: its time does not come after that of the line before"
            )
    first_ns = numbered[0][1].t_ns
    return [Row(row.t_ns - first_ns, row.pose) for _, row in numbered]


def columns_of(path: Path, names: Sequence[str]) -> tuple[str, list[tuple[str, ...]]]:
    """The column of the time, and the groups of columns that the file has. Raises EgostreamError."""
    times = [name for name in TIMES if name in names]
    groups = [group for group in GROUPS if set(group) <= set(names)]
    if len(times) != 1 or not (ORIENTATION in groups or GRAVITY in groups):
        named = printable(", ".join(names)[:LONGEST_REASON])
        raise EgostreamError(f"head poses {path}: its first line names {named or 'nothing'}. {HINT}")
    return times[0], groups


def row_of(
    path: Path, line: int, row: dict[str, str], time_column: str, groups: list[tuple[str, ...]], space: str
) -> Row:
    """A row of the file. Raises EgostreamError where it holds no numbers, or no rotation."""
    try:
        values = {name: float(row[name]) for group in (*groups, (time_column,)) for name in group}
    except (TypeError, ValueError):
        raise EgostreamError(f"head poses {path}, line {line}: a number is missing or is none. {HINT}") from None
    t_ns = values[time_column] * TIMES[time_column]
    if not all(math.isfinite(value) for value in (*values.values(), t_ns)):
        raise EgostreamError(f"head poses {path}, line {line}: a number is not finite")
    position, orientation, gravity = (
        tuple(values[name] for name in group) if group in groups else None for group in GROUPS
    )
    if orientation and not 0.9 <= math.hypot(*orientation) <= 1.1:
        raise EgostreamError(f"head poses {path}, line {line}: qx,qy,qz,qw is no unit quaternion")
    return Row(round(t_ns), HeadPose(position, orientation, gravity, space=space or path.stem))


def replay(rows: list[Row], sender: HeadSender, start_ns: int, loops: bool = False) -> None:
    """Send each row when its time comes, stamped with that time. start_ns: of the first row, monotonic clock.

    loops: start again at the end, for ever, after the mean pause between rows.
    """
    pause_ns = rows[-1].t_ns // max(1, len(rows) - 1) or 10_000_000
    while True:
        for row in rows:
            t_ns = start_ns + row.t_ns
            time.sleep(max(0.0, (t_ns - time.monotonic_ns()) / 1e9))
            sender.send(row.pose, t_ns)
        if not loops:
            return
        start_ns += rows[-1].t_ns + pause_ns
