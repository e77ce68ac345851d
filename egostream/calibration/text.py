"""What a calibration file holds, before anybody knows whose it is: JSON, YAML, XML or plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egostream.calibration.numerals import numeral
from egostream.errors import EgostreamError

HINT = "See calib/README.md for the formats"
#: Bytes of a calibration file. The largest met, of Project Aria, has 30 kB; YAML of this size is read in 5 s.
LARGEST_FILE = 1 << 18
#: Marks of encodings at a file's start, the longer before the shorter that they begin with.
MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Document:
    """A calibration file: its text, what was made of it, and its name without folder and ending."""

    kind: str  # "JSON", "YAML", "XML" or "text"
    text: str
    data: dict[str, Any]  # empty for plain text
    stem: str


def read_document(path: Path) -> Document:
    """A calibration file, parsed. Raises EgostreamError when it is not there, not text, or malformed."""
    text = read_text(path)
    kind, parse = parser_of(text)
    try:
        data = parse(text)
    except RecursionError:
        raise EgostreamError(f"calibration {path} is not readable {kind}: it nests too deep. {HINT}") from None
    except (ValueError, OverflowError) as error:
        raise EgostreamError(f"calibration {path} is not readable {kind}: {in_a_line(error)}. {HINT}") from None
    if not isinstance(data, dict):
        raise EgostreamError(f"calibration {path} is not a {kind} object. {HINT}")
    stem = "".join(c if c.isprintable() else "?" for c in path.stem)  # also of names that are no UTF-8
    return Document(kind, text, data, stem[:200])


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or UTF-32, without a mark of its encoding. Raises EgostreamError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise EgostreamError(
            f"no calibration file {path}. Make one (calib/README.md), or try --assume-canonical"
        ) from None
    except (OSError, ValueError) as error:
        raise EgostreamError(f"calibration {path} is not readable: {in_a_line(error)}. {HINT}") from None
    if len(data) > LARGEST_FILE:
        raise EgostreamError(
            f"calibration {path} is larger than {LARGEST_FILE >> 10} kB: that is no calibration. {HINT}"
        )
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise EgostreamError(f"calibration {path} is not readable text: {in_a_line(error)}. {HINT}") from None
    if "\0" in text:
        raise EgostreamError(f"calibration {path} is not readable text: it holds NUL bytes. {HINT}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(data: bytes) -> str:
    """The encoding of a file by its mark, or by where its NUL bytes lie; UTF-8 otherwise."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return "utf-16-le"
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return "utf-16-be"
    return "utf-8"


def parser_of(text: str) -> tuple[str, Callable[[str], Any]]:
    """What a text is written in, by how it begins, and what reads that."""
    start = text.lstrip()
    if is_plain(text):
        return "text", lambda _: {}
    if start.startswith(("{", "[")):
        return "JSON", parse_json
    if start.startswith("<"):
        return "XML", parse_xml
    return "YAML", parse_yaml


def is_plain(text: str) -> bool:
    """Whether this is one of the prints that programs make for people: OCamCalib's, librealsense's, MATLAB's."""
    if re.search(r"^[ \t]*#[ \t]*polynomial coefficients", text, re.MULTILINE) or "Intrinsic of" in text:
        return True
    if re.search(r"\d{1,6}x\d{1,6}\s{1,9}p\[", text[:200]):
        return True
    return (
        re.search(r"^[ \t]*(MappingCoefficients|RadialDistortion|FocalLength)[ \t]*[:=]", text, re.MULTILINE)
        is not None
    )


def parse_json(text: str) -> Any:
    """JSON's value. Raises ValueError or RecursionError."""
    return json.loads(text, parse_float=numeral, parse_int=numeral)


def parse_yaml(text: str) -> Any:
    """YAML's value. Raises ValueError or RecursionError."""
    from egostream.calibration.yaml_text import parse

    return parse(text)


def parse_xml(text: str) -> Any:
    """OpenCV's XML as the mapping that its YAML would give. Raises ValueError."""
    from egostream.calibration.xml_text import parse

    return parse(text)


def in_a_line(error: Exception) -> str:
    """What an error says, in one short line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return text if len(text) <= 200 else f"{text[:197]}..."
