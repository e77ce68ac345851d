"""Files and folders are written whole or not at all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from conftest import ROOT

from egostream.errors import EgostreamError
from egostream.files import replacing, write_whole
from tools.breaking.world import World


def test_two_first_runs_at_once_both_succeed(tmp_path):
    """Four processes replace one folder again and again: none fails, and the folder is always a whole one."""
    code = """
import sys
from pathlib import Path
from egostream.files import write_folder
for n in range(60):
    fill = lambda staging: [(staging / f"{i}.json").write_text(sys.argv[2]) for i in range(3)]
    write_folder(Path(sys.argv[1]), {".json"}, fill)
"""
    target = tmp_path / "cache"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(target), str(n)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        assert writer.wait(60) == 0, writer.stderr.read()
    assert len({path.read_text() for path in target.iterdir()}) == 1 and len(list(target.iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_full_disk_leaves_no_half_written_folder(tmp_path):
    """A file-size limit stands in for the full disk: the write fails in the middle, for real."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))  # noqa: E731
    command = [sys.executable, "-m", "egostream", "run", "--seconds", "1"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"EGOSTREAM_CACHE": str(tmp_path)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"egostream: cannot write {tmp_path}" in done.stderr.splitlines()[-1] and "Free some space" in done.stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size > 10_000] == []


def test_a_full_disk_moves_no_socket(tmp_path):
    """Every process asks for the folder of sockets as it starts: what a run starts anew, and its clients."""
    try:
        world = World(tmp_path)
    except EgostreamError as error:
        pytest.skip(str(error))
    without = {
        name: value for name, value in os.environ.items() if name not in ("EGOSTREAM_RUNTIME", "XDG_RUNTIME_DIR")
    }
    places = []
    for is_full in (0, 1):
        world.change(disk_is_full=is_full)
        code = "from egostream.files import runtime_folder; print(runtime_folder())"
        command, environment = [sys.executable, "-c", code], without | world.environment
        places.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True))
    assert [place.returncode for place in places] == [0, 0], places
    assert places[0].stdout == places[1].stdout != ""


def test_a_full_disk_keeps_what_was_there(tmp_path):
    write_whole(tmp_path / "file", b"whole")
    (tmp_path / f".{os.getpid()}.file").mkdir()  # the next write fails
    with pytest.raises(EgostreamError, match="cannot write .*file"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_draft_that_is_not_completed_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"whole")
    with pytest.raises(ValueError), replacing(tmp_path / "file") as draft:
        draft.write_bytes(b"ha")
        raise ValueError("stopped half way")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_said(tmp_path):
    write_whole(tmp_path / "new" / "file", b"whole")
    assert (tmp_path / "new" / "file").read_bytes() == b"whole"
    with pytest.raises(EgostreamError, match="cannot write .*inner: .*[.] Choose another place$"):
        write_whole(tmp_path / "new" / "file" / "inner", b"new", "Choose another place")
