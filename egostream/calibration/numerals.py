"""Numerals of calibration files, in the spellings of JSON, YAML, OpenCV and C."""

from __future__ import annotations

import re
import reprlib

YAML_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
NUMBER = re.compile(rf"^(?:{YAML_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|Nan|NAN))$")
LONGEST_NUMERAL = 400  # characters; the smallest double written in full has 330
#: How deep a file may nest. A camera's numbers lie 6 deep at most; the parsers recurse.
DEEPEST = 60


def numeral(text: str) -> float | int:
    """The number that a numeral is. Raises ValueError for one of more digits than any program writes.

    The bound comes first: Python takes minutes to read an exponent of a hundred thousand digits.
    """
    if len(text) > LONGEST_NUMERAL:
        raise ValueError(f"a number of {len(text)} characters")
    text = text.lower()
    if text.lstrip("+-").isdigit():
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def written_number(word: str) -> float:
    """The number that a word of a text is. Raises ValueError for a word that is none."""
    if len(word) > LONGEST_NUMERAL or not NUMBER.match(word):
        raise ValueError(f"expected a number, got {reprlib.repr(word)}")
    return float(numeral(word))
