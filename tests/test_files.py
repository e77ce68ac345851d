"""Folders written whole or not at all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from conftest import ROOT


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
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))  # noqa: E731
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
