"""Half-made folders: swept when their maker is gone, and never before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from egostream.drafts import draft_folder, sweep_drafts
from egostream.locks import lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
MAKER = """
import sys
from pathlib import Path
from egostream.files import write_folder
def fill(staging):
    (staging / "engine.blob").write_bytes(bytes(1000))
    print(staging, flush=True)
    input()
write_folder(Path(sys.argv[1]) / "engines" / "w" / "fp32", {".blob"}, fill)
"""


def test_what_a_kill_while_compiling_leaves_is_swept_and_what_is_being_compiled_is_not(tmp_path):
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    dead, alive = (maker.stdout.readline().decode().strip() for maker in makers)
    makers[0].kill()
    makers[0].communicate()
    drafts = lambda: {str(path) for path in (tmp_path / "engines" / "w").iterdir()}
    assert drafts() == {dead, alive}
    assert sweep_drafts(tmp_path) == 1 and drafts() == {alive}
    makers[1].communicate(b"\n", timeout=60)
    assert makers[1].returncode == 0 and drafts() == {str(tmp_path / "engines" / "w" / "fp32")}
    assert sweep_drafts(tmp_path) == 0


def test_a_draft_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Whoever sweeps may see it in the moment between its making and its locking."""
    seen = []

    def lock_late(path):
        if not seen:
            seen.append(path)
            assert sweep_drafts(tmp_path) == 1
            claim = lock(tmp_path)  # any: the folder itself is gone
            return claim
        return lock(path)

    monkeypatch.setattr("egostream.drafts.lock", lambda path: lock_late(path) if path == newest() else lock(path))
    newest = lambda: max(tmp_path.glob(".x-*"), default=None)
    with draft_folder(tmp_path, "x") as path:
        assert path.exists() and seen and path != seen[0]
    assert not list(tmp_path.iterdir())
