"""The fuzzing command: what a target does wrong is kept, shown again, and survived."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from egostream.errors import EgostreamError
from tools import fuzz
from tools.fuzzing.findings import shortened
from tools.fuzzing.tape import Tape

TARGETS = """
import ctypes
from typing import NamedTuple

class Target(NamedTuple):
    name: str
    damage: object = None
    def seeds(self): return [b"seed"]

TARGETS = {name: Target(name) for name in ("raises", "eats", "dies")}

def drawn(target, rng):
    return b"%d" % rng.randrange(1000)

def judge(target, data, folder):
    if data == b"seed":
        return
    if target.name == "raises" and b"7" in data:
        raise KeyError(data)
    if target.name == "eats":
        bytearray(200 << 20)
    if target.name == "dies":
        ctypes.string_at(0)
"""


@pytest.fixture
def fuzzed(tmp_path, monkeypatch):
    """A function that fuzzes one target of a module of its own. Returns its figures and the files of its findings."""
    (tmp_path / "odd_targets.py").write_text(TARGETS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    base = ["--module", "odd_targets", "--findings", str(tmp_path / "found"), "--json", str(tmp_path / "figures.json")]

    def run(name: str, *more: str) -> tuple[dict, list[Path]]:
        with pytest.raises(SystemExit) as ended:
            fuzz.main([*base, "--engine", "mutators", "--target", name, "--memory", "100", *more])
        assert ended.value.code == 1
        return json.loads((tmp_path / "figures.json").read_text())[0], sorted((tmp_path / "found").glob("*.bin"))

    before = resource.getrlimit(resource.RLIMIT_AS)
    yield run, base
    resource.setrlimit(resource.RLIMIT_AS, before)  # --replay bounds the memory of its own process, which is this one


def test_a_finding_is_kept_short_and_shown_again(fuzzed, capsys):
    run, base = fuzzed
    figures, (found,) = run("raises", "--inputs", "300")
    assert figures["inputs"] == 300 and figures["findings"] == 1, "one of a kind is enough"
    assert found.read_bytes() == b"7"
    told = found.with_suffix(".txt").read_text()
    assert "KeyError at odd_targets.py" in told and f"--target raises --replay {found}" in told
    with pytest.raises(KeyError):
        fuzz.main([*base, "--target", "raises", "--replay", str(found)])
    assert "300 inputs" in capsys.readouterr().out


def test_memory_that_is_too_much_is_a_finding(fuzzed):
    run, _ = fuzzed
    figures, (found,) = run("eats", "--inputs", "2")
    assert figures["inputs"] == 2 and "MemoryError" in found.with_suffix(".txt").read_text()


def test_a_process_that_dies_is_a_finding_and_the_next_goes_on(fuzzed):
    run, _ = fuzzed
    figures, found = run("dies", "--inputs", "2")
    assert figures["inputs"] == figures["findings"] == 2 and len(found) == 2, "each with the input that did it"
    assert "died with status -11" in found[0].with_suffix(".txt").read_text()


def test_what_is_no_target_is_said(fuzzed):
    with pytest.raises(EgostreamError, match="no target 'x'; the targets are raises, eats, dies"):
        fuzz.main([*fuzzed[1], "--target", "x"])


def test_the_tape_tells_the_input_that_is_tried(tmp_path):
    tape = Tape(tmp_path / "tape")
    assert Tape(tmp_path / "tape").read() == (0, 0, 0, None)
    tape.begin(b"")
    assert Tape(tmp_path / "tape").read().current == b""
    tape.end(5, True)
    tape.begin(b"abc")
    assert Tape(tmp_path / "tape").read() == (1, 1, 5, b"abc")


def test_shortening_keeps_what_matters():
    assert shortened(b"a" * 50 + b"bc" + b"d" * 50, lambda data: b"bc" in data) == b"bc"
