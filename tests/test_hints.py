"""Every option that an error message, a hint or a tool's help names is one that the command it is about has."""

from __future__ import annotations

import pytest
from hints import Hint, all_hints, hints_of, problem


def test_options_that_messages_name_exist():
    hints = list(all_hints())
    assert len(hints) > 300  # fewer: the sources are not read as they are written
    assert not [f"{hint.place}: {text}" for hint in hints if (text := problem(hint))]


@pytest.mark.parametrize(
    ("place", "text", "problems"),
    [
        ("egostream/config.py:1", "Leave --temporal out", []),
        ("egostream/config.py:1", "Leave --temporary out", ["no command that this message is of has --temporary"]),
        ("egostream/config.py:1", "Try: egostream echo --loop", ["egostream echo has no --loop"]),
        ("egostream/config.py:1", "what egostream runs --loop of", []),
        ("egostream/config.py:1", "egostream keys -o keys, then --server-key", []),
        ("egostream/config.py:1", "egostream keys -o keys --server-key", ["keys has no --server-key"]),
        ("egostream/config.py:1", "python tools/calibrate.py --corners 9x6 --sizes 3", ["has no --sizes"]),
        ("egostream/config.py:1", "egostream bridge vmc --avatar A. Or --loop, or pip install --user x", []),
        ("tools/quantize.py:1", "Name others: --frames, --loop", ["no command that this message is of has --loop"]),
        ("tools/make_synthetic.py:1", "Name some with --{}-clips, not --train-clips", []),
    ],
)
def test_an_option_that_does_not_exist_is_found(place, text, problems):
    found = [said for hint in hints_of(place, text) if (said := problem(hint))]
    assert len(found) == len(problems) and all(part in said for part, said in zip(problems, found)), found


def test_a_command_reaches_over_a_line_that_goes_on():
    text = "python tools/calibrate.py board/ \\\n    --corners 9x6\n    --loop"
    assert {hint.command for hint in hints_of("egostream/config.py:1", text)} == {"tools/calibrate.py"}
    assert next(hints_of("egostream/config.py:1", "see `ffprobe -v` --loop"), None) is None
    assert next(hints_of("a.py:1", "or --loop")) == Hint("a.py:1", "--loop", "")
