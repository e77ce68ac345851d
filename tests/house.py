#!/usr/bin/env python3
"""How the code stands, in figures: sizes of functions and files, lines, annotations, docstrings.

    python tests/house.py

Prints a table with the bound of each figure, and ends with 1 when one is passed. A function is public when no part of
its name begins with an underscore. It is annotated when every parameter and the result are; it is documented when it
has a docstring of its own, or keeps a contract (a base class or protocol of egostream) that has one for it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("egostream", "tools")
LONGEST_LINE, LONGEST_FUNCTION, LONGEST_FILE, MEDIAN_FUNCTION = 120, 60, 400, 8
ANNOTATED_PERCENT = DOCUMENTED_PERCENT = 95.0


@dataclass(frozen=True)
class Function:
    """A function or method as it stands in its file."""

    file: str
    owner: str  # class, or ""
    node: ast.FunctionDef | ast.AsyncFunctionDef
    is_local: bool  # inside another function

    @property
    def place(self) -> str:
        return f"{self.file}:{self.node.lineno} {self.owner}{'.' * bool(self.owner)}{self.node.name}"

    @property
    def lines(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def is_public(self) -> bool:
        return not self.is_local and not f".{self.owner}.{self.node.name}".count("._")

    @property
    def is_annotated(self) -> bool:
        arguments = self.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        if self.owner and named and named[0] and named[0].arg in ("self", "cls"):
            named = named[1:]
        has_result = self.node.returns is not None or self.node.name == "__init__"
        return has_result and all(one.annotation is not None for one in named if one)


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows, or will: relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [Path(name) for name in listed if (ROOT / name).is_file()]


def functions_of(file: Path) -> list[Function]:
    """All functions of a file, methods and local ones too."""
    found: list[Function] = []

    def visit(node: ast.AST, owner: str, is_local: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append(Function(str(file), owner, child, is_local))
                visit(child, owner, True)
            else:
                visit(child, child.name if isinstance(child, ast.ClassDef) else owner, is_local)

    visit(ast.parse((ROOT / file).read_text(encoding="utf-8")), "", False)
    return found


def share(part: list[Function], whole: list[Function]) -> float:
    """Percent of some functions among all."""
    return 100 * len(part) / len(whole)


def figures() -> list[tuple[str, float, str, float, str]]:
    """Rows of figure, value, relation, bound, and where it is worst."""
    code = [function for room in ROOMS for file in tracked(f"{room}/**.py") for function in functions_of(file)]
    longest = max(code, key=lambda function: function.lines)
    lines = [
        (len(line), f"{file}:{number}")
        for file in tracked("*.py")
        for number, line in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines(), 1)
    ]
    files = [((ROOT / file).read_text(encoding="utf-8").count("\n"), str(file)) for file in tracked("egostream/**.py")]
    contract = {
        function.node.name for function in code if function.owner and ast.get_docstring(function.node) is not None
    }
    public = [function for function in code if function.file.startswith("egostream/") and function.is_public]
    bare = [function for function in public if not function.is_annotated]
    mute = [
        function
        for function in public
        if ast.get_docstring(function.node) is None and not (function.owner and function.node.name in contract)
    ]
    rest = lambda some: some[0].place if some else ""
    return [
        ("median lines of a function", median(function.lines for function in code), "<=", MEDIAN_FUNCTION, ""),
        ("lines of the longest function", longest.lines, "<=", LONGEST_FUNCTION, longest.place),
        ("columns of the longest line", *at_most(max(lines), LONGEST_LINE)),
        ("lines of egostream's longest file", *at_most(max(files), LONGEST_FILE)),
        ("% of egostream's public functions annotated", 100 - share(bare, public), ">=", ANNOTATED_PERCENT, rest(bare)),
        (
            "% of egostream's public functions documented",
            100 - share(mute, public),
            ">=",
            DOCUMENTED_PERCENT,
            rest(mute),
        ),
    ]


def at_most(worst: tuple[int, str], bound: float) -> tuple[float, str, float, str]:
    """A row's end for a figure with its place."""
    return worst[0], "<=", bound, worst[1]


def main() -> int:
    """Print the figures; 1 when one passes its bound."""
    is_kept = True
    for name, value, relation, bound, place in figures():
        holds = value <= bound if relation == "<=" else value >= bound
        is_kept &= holds
        print(f"{'ok  ' if holds else 'FAIL'} {name:46} {value:7.1f}  {relation} {bound:g}  {place}")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
