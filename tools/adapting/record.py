"""adapt.json of an out folder: what was asked for, what this machine can do, what was planned and what is done."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import msgspec

from egostream.errors import EgostreamError, first_line
from egostream.files import write_whole
from tools.adapting.plan import Plan, Rates

FILE = "adapt.json"


class Record(msgspec.Struct, kw_only=True):
    """All that a killed run has to know again."""

    told: dict[str, object]  # what the weights depend on, by option
    rates: Rates | None = None
    plan: Plan | None = None
    spent_s: dict[str, float] = {}  # part -> seconds so far, in all its runs
    done: list[str] = []  # parts that are finished


def load_record(out: Path, told: dict[str, object]) -> Record:
    """The record of an out folder, a new one where there is none.

    Raises EgostreamError when the folder is of other options, or holds other things.
    """
    path = out / FILE
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise EgostreamError(f"--out {out} holds other things. Choose another --out")
        return Record(told=told)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EgostreamError(f"{path} is damaged: {first_line(error)}. Choose another --out") from None
    for name, value in told.items():
        if record.told.get(name) != value:
            raise EgostreamError(
                f"--out {out} was begun with another {name} ({said(record.told.get(name))}, now {said(value)}). "
                "Give the same, or another --out"
            )
    return record


def said(value: object) -> str:
    """A value of an option, short enough for an error."""
    return "none" if value in (None, "", []) else str(value)[:40]


def save_record(out: Path, record: Record) -> None:
    """Write the record whole. Raises EgostreamError when the disk is full."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    fields |= {name: asdict(value) for name in ("rates", "plan") if (value := fields[name]) is not None}
    text = json.dumps(fields, indent=1) + "\n"
    write_whole(out / FILE, text.encode(), "Free some space; the same command goes on")
