"""Damage done to calibration files: what editors, disks and hands do to them, drawn at random from a seed."""

from __future__ import annotations

import random
import re

#: What a number, a word or a bracket of a file may turn into.
ODD = (
    "0", "-0", "-1", "1e400", "-1e308", "1e-320", "NaN", "Infinity", ".nan", ".inf", "null", "~", "true", '""', '"x"',
    "'1'", "[]", "{}", "[[]]", "[1, [2]]", '{"a": 1}', "1:30", "0x10", "1_000", "1,5", "9" * 30, "9" * 5000,
    "!!python/object:os.system", "&a [*a]", "*a", "!!binary aGk=", "<<: *x", "\u0661", "\ud7ff\u202e", "\x00", "\t",
    "%", "---\n", "[" * 200, "- " * 100,
)  # fmt: skip
TOKEN = re.compile(r"[-+]?\.?\d[\d.eE+-]*|[A-Za-z_][A-Za-z_0-9]*|[\[\]{}:,\"'#<>!&*=\n]")


def mutated(text: str, rng: random.Random) -> bytes:
    """A file's bytes after one to four accidents."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        text = rng.choice(ACCIDENTS)(text, rng)
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.1 and data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.03:
        return rng.choice((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\0\0\xfe\xff")) + bytes(data)
    return bytes(data)


def spoil_token(text: str, rng: random.Random) -> str:
    """One number, word or sign becomes something odd."""
    tokens = list(TOKEN.finditer(text))
    if not tokens:
        return text
    token = rng.choice(tokens)
    return text[: token.start()] + rng.choice(ODD) + text[token.end() :]


def scale_number(text: str, rng: random.Random) -> str:
    """One number grows, shrinks or changes its sign."""
    numbers = list(re.finditer(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", text))
    if not numbers:
        return text
    number = rng.choice(numbers)
    value = float(number[0]) * rng.choice((-1, 0, 1e-6, 0.1, 0.5, 2, 10, 1e6, 1e30))
    return text[: number.start()] + repr(value) + text[number.end() :]


def cut(text: str, rng: random.Random) -> str:
    """A part is lost, mostly a short one."""
    start = rng.randrange(len(text) + 1)
    return text[:start] + text[start + rng.choice((1, 2, 10, 100, len(text))) :]


def repeat(text: str, rng: random.Random) -> str:
    """A part comes twice."""
    start = rng.randrange(len(text) + 1)
    end = start + rng.choice((1, 3, 20, 200))
    return text[:end] + text[start:end] + text[end:]


def swap_lines(text: str, rng: random.Random) -> str:
    """Two lines change places, or a line changes its indent."""
    lines = text.split("\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    lines[a] = rng.choice(("", " ", "   ", "\t")) + lines[a]
    return "\n".join(lines)


def swap_names(text: str, rng: random.Random) -> str:
    """One word takes another's place."""
    words = list(re.finditer(r"[A-Za-z_][A-Za-z_0-9]+", text))
    if not words:
        return text
    word = rng.choice(words)
    return text[: word.start()] + rng.choice(words)[0] + text[word.end() :]


ACCIDENTS = (spoil_token, spoil_token, scale_number, scale_number, cut, repeat, swap_lines, swap_names)
