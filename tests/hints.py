"""The options that messages name, read from the sources, and the options that commands have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT

OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z0-9-]*[a-z0-9]")
#: Who a message may be about: our commands and tools, and anybody else's whom messages name.
COMMAND = re.compile(
    r"\begostream[\s\"',]+(?P<command>[a-z]+(?: [a-z]+)?)|\b(?P<tool>[a-z_]+)\.py\b"
    r"|`(?P<quoted>[a-z]+) -|\b(?P<foreign>pip|uv|npm|docker|torchrun|tensorboard|git|ray|apt-get|cyclonedx-py)\b"
)
#: Where what was said of one command ends.
SENTENCE = re.compile(r"(?<=[.;])\s+|\n\s*\n|(?<!\\)\n(?!\s+--)")


class Hint(NamedTuple):
    """An option that a message names."""

    place: str  # file:line
    option: str
    command: str  # "run", "bridge vmc" or "tools/calibrate.py", by the words before it; empty: none was named
    is_close: bool = True  # whether nothing stands between the two that might begin another thought


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of what is shown: strings of several words, and the module's docstring. ``{}``: filled in later."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if has_docstring(node, documented)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    if text := ast.get_docstring(tree):
        yield 1, text
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            if " " in text and not text.startswith(" --"):  # that is joined to its command elsewhere
                yield node.lineno, text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            if id(node) not in inside | docstrings:
                yield node.lineno, node.value


def has_docstring(node: ast.AST, kinds: tuple) -> bool:
    """Whether a node's first statement is its docstring."""
    first = node.body[0] if isinstance(node, kinds) and node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def hints_of(place: str, text: str) -> Iterator[Hint]:
    """Every option that a text names, with the command before it in the same sentence. Others' options are left out."""
    for sentence in SENTENCE.split(text.replace("\\\n", " ")):
        commands = list(COMMAND.finditer(sentence))
        for option in OPTION.finditer(sentence.partition(" -- ")[0]):  # what is behind that is handed on
            before = [match for match in commands if match.start() < option.start()]
            named = before[-1].groupdict() if before else {}
            if named.get("foreign") or named.get("quoted") not in (None, "egostream"):
                continue
            command = named.get("command") or (f"tools/{named['tool']}.py" if named.get("tool") else first_word(text))
            between = sentence[before[-1].end() : option.start()] if before else ""
            yield Hint(place, option[0], command, not set(",();:") & set(between))


def first_word(text: str) -> str:
    """The command of ``egostream`` that a text is, as one hands it to a program; empty of any other text."""
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return word if word in egostream_options() else ""


def all_hints() -> Iterator[Hint]:
    """Every option that a message of ``egostream/`` or ``tools/`` names."""
    for path in sources():
        for line, text in texts(parsed(path)):
            yield from hints_of(f"{path.relative_to(ROOT)}:{line}", text)


def sources() -> list[Path]:
    """Every source file, sorted."""
    found = sorted(path for room in ("egostream", "tools") for path in (ROOT / room).rglob("*.py"))
    return [path for path in found if path.name != "lowest.py"]  # its texts are programs


@cache
def parsed(path: Path) -> ast.Module:
    """A source file's syntax tree."""
    return ast.parse(path.read_text())


@cache
def egostream_options() -> dict[str, frozenset[str]]:
    """{command: its options} of ``egostream``, commands of commands as "bridge vmc"."""
    import typer

    from egostream.terminal.cli import app

    found: dict[str, frozenset[str]] = {}

    def add(name: str, command) -> None:
        found[name] = frozenset({o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"})
        for below, one in getattr(command, "commands", {}).items():
            add(f"{name} {below}".strip(), one)

    add("", typer.main.get_command(app))
    return found


@cache
def tool_modules(path: Path) -> frozenset[Path]:
    """A tool and every module of ``tools/`` that it imports, directly or not."""
    found, left = {path}, [path]
    while left:
        for name in imported(parsed(left.pop())):
            for one in (ROOT / f"{name.replace('.', '/')}.py", ROOT / name.replace(".", "/") / "__init__.py"):
                if one.is_file() and one not in found:
                    found.add(one)
                    left.append(one)
    return frozenset(found)


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of what a module of ``tools/`` imports of ``tools/``; some may be no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tools":
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


@cache
def tool_options(path: Path) -> re.Pattern[str]:
    """Matches every option of a tool: what it, or what it imports, hands to ``add_argument``."""
    patterns = ["--help"]
    for node in (node for module in tool_modules(path) for node in ast.walk(parsed(module))):
        called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and called in ("add_argument", "add"):
            switches = "BooleanOptionalAction" in ast.unparse(node)
            for name in map(pattern_of, node.args):
                patterns += [name, name.replace("--", "--no-", 1)] if switches else [name]
    return re.compile("|".join(filter(None, patterns)))


def pattern_of(node: ast.expr) -> str:
    """A pattern of the option that an argument is; empty where it is none. What is filled in may be anything."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z-]+" for part in parts]
    pattern = "".join(texts)
    return pattern if pattern.replace("\\", "").startswith("--") else ""


@cache
def tools_of(path: Path) -> tuple[Path, ...]:
    """The tools whose messages those of a module may be: those that import it."""
    return tuple(tool for tool in sorted((ROOT / "tools").glob("*.py")) if path in tool_modules(tool))


def problem(hint: Hint) -> str:
    """What is wrong with a hint, in words; empty when the command that it is about has the option."""
    if has_option(hint.command, hint.option) or (not hint.is_close and is_of_place(hint)):
        return ""
    if hint.command.startswith("tools/") or hint.command.split(" ")[0] in egostream_options():
        name = hint.command if hint.command.startswith("tools/") else f"egostream {hint.command}"
        return f"{name} has no {hint.option}" if hint.command else alone(hint)
    return alone(hint)  # "egostream runs", say, is prose


def alone(hint: Hint) -> str:
    """What is wrong with an option without its command, in words; empty where it may be meant."""
    return "" if is_of_place(hint) else f"no command that this message is of has {hint.option}"


def has_option(command: str, option: str) -> bool:
    """Whether a command, or one below it, has an option. A file that is none of our tools has them all."""
    if command.startswith("tools/"):
        return not (ROOT / command).is_file() or bool(tool_options(ROOT / command).fullmatch(option))
    names = (command, command.split(" ")[0])
    known = next((name for name in names if name and name in egostream_options()), None)
    below = [o for name, o in egostream_options().items() if known and f"{name} ".startswith(f"{known} ")]
    return any(option in options for options in below)


def is_of_place(hint: Hint) -> bool:
    """Whether some command has an option that shows messages of the file that a hint stands in."""
    path = ROOT / hint.place.rpartition(":")[0]
    if any(tool_options(tool).fullmatch(hint.option) for tool in tools_of(path)):
        return True
    is_egostream = path.is_relative_to(ROOT / "egostream")
    return is_egostream and any(hint.option in options for options in egostream_options().values())
