"""Damage done to inputs: what editors, disks, hands and strangers do to them, drawn at random from a seed.

Texts, bytes, and the values of JSON and msgpack; the inputs themselves are those of ``fuzz_targets.py``.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import struct

import msgspec

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


# -- bytes ------------------------------------------------------------------------------------------------------------

#: What a length, a count or an offset of a binary file may turn into.
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """A binary file's bytes after one to six accidents."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(BINARY_ACCIDENTS)(changed, rng.randrange(len(changed) + 1), rng)
    return bytes(changed)


def change_byte(data: bytearray, at: int, rng: random.Random) -> None:
    """One byte is another."""
    if at < len(data):
        data[at] = rng.randrange(256)


def write_number(data: bytearray, at: int, rng: random.Random) -> None:
    """Some bytes hold an odd number of 1, 2, 4 or 8 bytes, in either order."""
    width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    data[at : at + width] = (rng.choice(NUMBERS) % (1 << 8 * width)).to_bytes(width, order)


def lose_bytes(data: bytearray, at: int, rng: random.Random) -> None:
    """A part is lost; seldom all that follows."""
    del data[at : at + rng.choice((1, 2, 8, 40, 400, len(data)))]


def double_bytes(data: bytearray, at: int, rng: random.Random) -> None:
    """A part comes twice."""
    data[at:at] = data[at : at + rng.choice((1, 4, 40, 400))]


def insert_bytes(data: bytearray, at: int, rng: random.Random) -> None:
    """Bytes come in that belong to nothing."""
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))


BINARY_ACCIDENTS = (change_byte, change_byte, write_number, write_number, lose_bytes, double_bytes, insert_bytes)

#: Words that a shell hands over: options, numbers, names that are no text, URLs, places.
ODD_WORDS = (
    b"", b"-", b"--", b"-o", b"--source", b"--calibration", b"--config", b"--stature", b"--rotate", b"--stream",
    b"--fps",
    b"--publish", b"--control", b"--head", b"--bridge", b"--json", b"--force", b"--seconds", b"--print-config", b"0",
    b"-1", b"1e400", b"nan", b"inf", b"1_0", b"\xd9\xa3", b"9" * 30, b"9" * 5000, b"true", b"a b", b"a/b", b"\n",
    b"\xff\xfe", b"\xed\xb0\x80", b"\x1b[2J", b"x" * 5000, b"/", b"/dev/null", b"/dev/zero", b"tcp://*:0",
    b"tcp://[::",
    b"ipc://", b"ipc:///" + b"x" * 200, b"file://[", b"file:///%00", b"http://[::1", b"rtsp://u:p@h/x", b"#", b"x#",
    b"#9",
    b"~", b"~nobody/x", b"{stem", b"@", b"%s", b"=", b"--stature=x", b"vmc", b"vmc=", b"vmc=:", b"vmc=h:99999",
)  # fmt: skip

# -- trees: the values of JSON and msgpack ----------------------------------------------------------------------------

#: Stands for what nests deeper than Python goes; the encoders below put it in.
NESTED, DEPTH = "@nested@", 3000
#: Stands for what a decoder written in C still takes, and Python's own repr does not.
DEEP, LESS_DEPTH = "@deep@", 970
ODD_VALUES = (
    None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), 1 << 31,
    (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, "", "x", "x" * 5000, "\n", "a\tb\x1b[2J", "\x00", "\u202e", "../../etc",
    "/dev/null", "nan", "1", [], {}, [[]], [None], [1, "x"], {"": {}}, [[1.0] * 3] * 15, {"cmd": "stop"}, NESTED, DEEP,
)  # fmt: skip


def mutated_tree(tree: object, rng: random.Random) -> object:
    """A value of JSON or msgpack after one to four accidents, at any depth of it. The given one stays as it is."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        tree = changed_inside(tree, rng)
    return tree


def changed_inside(tree: object, rng: random.Random) -> object:
    """A value with one of its parts changed, or all of it."""
    if isinstance(tree, dict) and tree and rng.random() < 0.9:
        key = rng.choice(list(tree))
        if rng.random() < 0.2:
            return spoiled_mapping(tree, key, rng)
        return {**tree, key: changed_inside(tree[key], rng)}
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        at = rng.randrange(len(tree))
        if rng.random() < 0.3:
            return tree[:at] + rng.choice(([], [tree[at]] * 2, [rng.choice(ODD_VALUES)])) + tree[at + 1 :]
        return [*tree[:at], changed_inside(tree[at], rng), *tree[at + 1 :]]
    if isinstance(tree, int | float) and not isinstance(tree, bool) and rng.random() < 0.4:
        return tree * rng.choice((-1, 0, 2, 10, 1000)) + rng.choice((0, 1, -1))
    return rng.choice(ODD_VALUES)


def spoiled_mapping(tree: dict, key: object, rng: random.Random) -> dict:
    """A mapping that lacks a key, has one under another name, or has one more."""
    rest = {name: value for name, value in tree.items() if name != key}
    more = rng.choice(("", "x", "\n", "__proto__", "a" * 300, str(key).upper()))
    return rng.choice((rest, {**rest, more: tree[key]}, {**tree, more: rng.choice(ODD_VALUES)}))


def as_json(tree: object) -> bytes:
    """A tree as JSON, NaN and infinity as Python writes them."""
    text = json.dumps(tree)
    for mark, depth in ((NESTED, DEPTH), (DEEP, LESS_DEPTH)):
        text = text.replace(f'"{mark}"', "[" * depth + "]" * depth)
    return text.encode()


def as_msgpack(tree: object) -> bytes:
    """A tree as msgpack; of a number that is too large, its last 64 bits."""
    if tree is None:
        return b"\xc0"
    if isinstance(tree, bool):
        return b"\xc3" if tree else b"\xc2"
    if isinstance(tree, int):
        return b"\xcf" + (tree % (1 << 64)).to_bytes(8) if tree >= 0 else b"\xd3" + (tree % (1 << 64)).to_bytes(8)
    if isinstance(tree, float):
        return b"\xcb" + struct.pack(">d", tree)
    if tree == NESTED:
        return b"\x91" * DEPTH + b"\xc0"
    if tree == DEEP:
        return b"\x91" * LESS_DEPTH + b"\xc0"
    if isinstance(tree, str | bytes):
        data = tree.encode("utf-8", "surrogatepass") if isinstance(tree, str) else tree
        return (b"\xdb" if isinstance(tree, str) else b"\xc6") + len(data).to_bytes(4) + data
    if isinstance(tree, list):
        return b"\xdd" + len(tree).to_bytes(4) + b"".join(map(as_msgpack, tree))
    if not isinstance(tree, dict):
        return b"\xc7\x01\x05x"  # an extension, as dates are one
    pairs = b"".join(as_msgpack(key) + as_msgpack(value) for key, value in tree.items())
    return b"\xdf" + len(tree).to_bytes(4) + pairs


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """A JSON file whose values changed, or at times its text."""
    if rng.random() >= 0.2:
        with contextlib.suppress(ValueError, RecursionError):  # it may be damaged already
            return as_json(mutated_tree(json.loads(data), rng))
    return mutated(data.decode(errors="replace"), rng)


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """A text file after some accidents."""
    return mutated(data.decode("utf-8", "surrogateescape"), rng)


def mutated_msgpack(data: bytes, rng: random.Random) -> bytes:
    """A msgpack value that changed, or at times its bytes."""
    if rng.random() >= 0.3:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # it may be damaged already
            return as_msgpack(mutated_tree(msgspec.msgpack.decode(data), rng))
    return mutated_bytes(data, rng)


def mutated_message(data: bytes, rng: random.Random) -> bytes:
    """A message, topic NUL msgpack, of which mostly the second part changed."""
    topic, _, body = data.partition(b"\0")
    if rng.random() < 0.1:
        return mutated_bytes(data, rng)
    return topic + b"\0" + mutated_msgpack(body, rng)


def split_parts(data: bytes) -> list[bytes]:
    """Several inputs in one, each after its length in four bytes; a length that is too large takes the rest."""
    parts, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        parts.append(data[at + 4 : end])
        at = end
    return parts


def joined_parts(parts: list[bytes]) -> bytes:
    """What ``split_parts`` takes apart."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)


def mutated_messages(data: bytes, rng: random.Random) -> bytes:
    """Messages in a row, of which some changed, went, or came twice."""
    parts = split_parts(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(parts))
        parts[at : at + 1] = rng.choice(([mutated_message(parts[at], rng)], [], [parts[at]] * 2))
        parts = parts or [b""]
    return joined_parts(parts)


def mutated_words(data: bytes, rng: random.Random) -> bytes:
    """Words of a command line, NUL between them, of which some changed, went, or came twice."""
    words = data.split(b"\0")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(words))
        odd = rng.choice(ODD_WORDS)
        words[at : at + 1] = rng.choice(([mutated_bytes(words[at], rng)], [odd], [words[at], odd], [], [words[at]] * 2))
        words = words or [b""]
    return b"\0".join(words)
