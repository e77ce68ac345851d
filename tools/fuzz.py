#!/usr/bin/env python
"""Tries damaged inputs on all that reads what comes from outside, and keeps those that are not refused in words.

    python tools/fuzz.py                                     # 60 s for each target
    python tools/fuzz.py --seconds 3600 --target recording   # an hour for one
    python tools/fuzz.py --target recording --replay fuzz-findings/recording-0123456789ab.bin

Each target runs in a process of its own that may take --memory MiB. A process that dies or hangs is a finding, too.
Where the package atheris is installed (pip install -e '.[fuzz]'), branches of the program that are met for the first
time lead to the next inputs; else inputs follow from --seed and their number. Exit status 1: there were findings.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the targets are the tests'
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.errors import EgostreamError
from tools.entry import run_tool
from tools.fuzzing.child import bound_memory
from tools.fuzzing.parent import Fuzzing, Wanted

ENGINES = ("auto", "mutators", "atheris")


def main(words: list[str] | None = None) -> None:
    """Fuzz, or try one input again. Exits with 1 where there were findings."""
    options = parsed(words)
    targets = importlib.import_module(options.module)
    if options.list:
        print("\n".join(targets.TARGETS))
        return
    for name in options.target:
        if name not in targets.TARGETS:
            raise EgostreamError(f"there is no target {name!r}; the targets are {', '.join(targets.TARGETS)}")
    if options.replay:
        replay(targets, options)
        return
    wanted = Wanted(
        options.module, options.findings, options.seed, options.inputs, options.seconds, options.memory, engine(options)
    )
    outcomes = [Fuzzing(name, wanted, say).run() for name in options.target or targets.TARGETS]
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=2) + "\n")
    if any(one.findings for one in outcomes):
        say(f"findings are in {options.findings}; the .txt beside each says how to try it again")
        sys.exit(1)


def parsed(words: list[str] | None) -> argparse.Namespace:
    """The options on the command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        "fuzz.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--target", action="append", default=[], metavar="NAME", help="may be repeated; default: all")
    add("--list", action="store_true", help="print the targets' names")
    add("--seconds", type=float, default=60, help="for each target (default: 60)")
    add("--inputs", type=int, default=10**12, help="for each target at most; default: as many as there is time for")
    add("--seed", type=int, default=0, help="of the inputs (default: 0)")
    add("--engine", choices=ENGINES, default="auto", help="default: atheris where it is installed")
    add("--memory", type=int, default=1024, metavar="MIB", help="more than a target has at its start (default: 1024)")
    add("--findings", type=Path, default=Path("fuzz-findings"), metavar="FOLDER", help="default: fuzz-findings")
    add("--json", type=Path, metavar="FILE", help="write the figures here as well")
    add("--replay", type=Path, metavar="FILE", help="try this input again, and show what it does")
    add("--module", default="fuzz_targets", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def engine(options: argparse.Namespace) -> str:
    """What draws the inputs. Raises EgostreamError where it was named and is not there."""
    is_there = find_spec("atheris") is not None
    if options.engine == "atheris" and not is_there:
        raise EgostreamError("the package atheris is missing: pip install -e '.[fuzz]', or --engine mutators")
    return "atheris" if is_there and options.engine == "auto" else options.engine.replace("auto", "mutators")


def replay(targets: Any, options: argparse.Namespace) -> None:
    """Try one input again. What it raises is shown whole: this is for who mends it."""
    if len(options.target) != 1:
        raise EgostreamError("an input is of one target: give --target NAME with --replay")
    data = options.replay.read_bytes()
    bound_memory(options.memory)
    with tempfile.TemporaryDirectory(prefix="egostream-fuzz-") as scratch:
        targets.judge(targets.TARGETS[options.target[0]], data, Path(scratch))
    say(f"{options.target[0]}: {len(data)} bytes are read, or refused in words")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    run_tool(main)
