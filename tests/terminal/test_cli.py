"""The commands as a person types them."""

from __future__ import annotations

import json
import re

import pytest
from conftest import ROOT
from processes import egostream, egostream_here

from egostream.handover.board import StreamBoard
from egostream.redact import without_password

COMMANDS = (
    "run",
    "echo",
    "record",
    "replay",
    "annotate",
    "bench",
    "cameras",
    "lens",
    "doctor",
    "keys",
    "stop",
    "view",
    "mount",
    "status",
    "cache",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = egostream_here(command, "--help")
    assert done.returncode == 0 and f"Example: egostream {command}" in done.stdout


def test_help_shows_all_commands_and_a_first_step():
    done = egostream()
    assert all(command in done.stdout for command in COMMANDS) and "egostream run --source sample" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--source", "nowhere.mp4", "--assume-canonical"], "no source 'nowhere.mp4'"),
        (["run", "--source", "nowhere.mp4"], "no source 'nowhere.mp4'"),
        (["run", "--source", "0"], "no calibration for source 0.*tools/calibrate.py"),
        (["run", "--camera", "97", "--assume-canonical"], "no camera 97.*egostream cameras"),
        (["run", "--calibration", "nofile.json"], "no calibration file nofile.json"),
        (["run", "--pace", "fast"], "pace is 'fast'; choose one of live, every-frame, max-rate"),
        (["run", "--every-frame", "--pace", "live"], "exclude each other"),
        (["run", "--fps", "-3"], "fps is -3.0"),
        (["run", "--fps", "nan"], "fps is nan"),
        (["run", "--stream", "a/b"], "stream is 'a/b'"),
        (["run", "--backend", "tensorflow"], "no backend 'tensorflow'"),
        (["run", "--precision", "fp4"], "cannot run fp4"),
        (["run", "--weights", "nowhere"], "not a weights folder"),
        (["run", "--engines", "nowhere"], "is not there.*build_engine.py"),
        (["run", "--publish", "tcp://0.0.0.0:5570"], "can be reached from outside.*egostream keys"),
        (["run", "--publish", "tcp://*:5570"], "can be reached from outside"),
        (["run", "--publish", "banana"], "not of the form tcp://"),
        (["run", "--publish", "tcp://127.0.0.1:*"], "is not one that clients could know"),
        (["run", "--publish", "tcp://127.0.0.1:99999"], "port 99999"),
        (["run", "--source", "x" * 5000, "--assume-canonical"], "no source"),
        (["run", "--control", "tcp://0.0.0.0:5571", "--insecure"], "must be on loopback"),
        (["run", "--server-key", "nofile"], "not a CURVE certificate"),
        (["run", "--client-keys", "x"], "needs --server-key"),
        (["run", "--config", "nofile.toml"], "no config file nofile.toml"),
        (["echo", "--timeout", "0.5", "--endpoint", "ipc:///tmp/egostream-test-none"], "no pose on .* for 0.5 s"),
        (["echo", "--endpoint", "banana"], "cannot connect to banana"),
        (["stop", "--control", "ipc:///tmp/egostream-test-none"], "no answer from"),
        (["stop", "--control", "banana"], "cannot connect to banana"),
        (["bench", "--source", "nowhere.mp4", "--assume-canonical"], "no source 'nowhere.mp4'"),
        (["bench", "--plot", "nowhere/latency.png"], "in an existing folder is needed"),
        (["record", "-o", "README.md"], "README.md exists, and a recording replaces nothing"),
        (["record", "-o", "nowhere/a.mcap"], "there is no folder nowhere"),
        (
            ["record", "-o", "/tmp/egostream-test-none.mcap", "--control", "ipc:///tmp/none"],
            "no answer from ipc:///tmp/none",
        ),
        (["run", "--record", "README.md"], "README.md exists"),
        (["run", "--record", "/tmp/egostream-test-none.mcap", "--control", ""], "needs a --control endpoint"),
        (["replay", "nowhere.mcap", "--check"], "no recording nowhere.mcap"),
        (["replay", "README.md"], "README.md is no MCAP file"),
        (["replay", "README.md", "--check", "--publish-only"], "exclude each other"),
    ],
)
def test_bad_input_is_one_line_and_status_one(arguments, message):
    assert_one_line(egostream_here(*arguments), message)


def test_bad_input_ends_a_process_in_one_line():
    assert_one_line(egostream("run", "--fps", "nan"), "fps is nan")


def assert_one_line(done, message):
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("egostream: ") and re.search(message, lines[-1]), done.stderr


def test_temporal_form_must_match_the_weights(weights_of):
    done = egostream_here("run", "--weights", str(weights_of("window").folder), "--temporal", "causal")
    assert done.returncode == 1 and "were trained for window" in done.stderr


def test_json_outputs_are_json(tmp_path):
    assert isinstance(json.loads(egostream("cameras", "--json").stdout), list)
    findings = json.loads(egostream("doctor", "--json").stdout)
    assert {"system", "backend", "weights", "cache"} <= {finding["topic"] for finding in findings}
    keys = json.loads(egostream("keys", "-o", str(tmp_path / "keys"), "--json").stdout)
    assert keys["secret"].endswith("server.key_secret")
    again = egostream("keys", "-o", str(tmp_path / "keys"))
    assert again.returncode == 1 and "exists" in again.stderr


def test_docs_have_no_placeholder_left():
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        assert "@@" not in path.read_text(), path


def test_a_source_that_is_not_unicode_can_be_shown():
    name = b"caf\xe9.avi".decode(errors="surrogateescape")  # as Python reads such a file's name
    without_password(name).encode()
    board = StreamBoard()
    board.note("capture", f"no source {name}")
    assert board.newest_note("capture") == "no source caf?.avi"
    board.close()
