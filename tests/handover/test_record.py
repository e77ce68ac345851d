"""Shared memory: taken when it is made, and an error in words where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from egostream.errors import EgostreamError
from egostream.handover import record
from egostream.handover.picture_ring import CAPACITY, PictureRing
from egostream.handover.record import SharedRecord, sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")


class Large(SharedRecord):
    """Four mebibytes."""

    dtype = np.dtype([("block", "u1", (4 << 20,))])


def blocks_of(record: SharedRecord) -> int:
    """Bytes of memory that a record has taken."""
    return os.stat(f"/dev/shm/{record.name}").st_blocks * 512


def test_memory_is_taken_when_a_record_is_made_but_for_pictures():
    large, pictures = Large(), PictureRing()
    try:
        assert blocks_of(large) >= 4 << 20
        assert blocks_of(pictures) < 1 << 20
        assert pictures.reserve() and blocks_of(pictures) >= CAPACITY
    finally:
        large.close()
        pictures.close()


FULL = """
import os, sys
sys.path.insert(0, {root!r})
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.supervise.prepare import prepare_run
from egostream.supervise.supervisor import Supervisor
try:
    Supervisor(prepare_run(RunConfig(control="", precision="fp32", motion="every-frame"), lambda line: None), print)
except EgostreamError as error:
    print("ONE LINE:", error)
print(sorted(os.listdir("/dev/shm")))
"""


@pytest.mark.parametrize("options", ["size=64k", "ro"])
def test_full_or_closed_shared_memory_is_one_line(options):
    """In a mount namespace of its own, with a /dev/shm of 64 KiB, or one that cannot be written."""
    mount = f"mount -t tmpfs -o {options} tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("mounting needs root, or a user namespace")
    code = FULL.format(root=str(ROOT))
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "ONE LINE: " in done.stdout and "hared memory" in done.stdout, done
    assert done.stdout.splitlines()[-1] == "[]" and done.returncode == 0, done


LIMITED = """
import resource, sys
sys.path[:0] = [{root!r}, {root!r} + "/tests/handover"]
from test_record import Large
from egostream.errors import EgostreamError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    Large()
except EgostreamError as error:
    print("ONE LINE:", error)
"""


def test_a_limit_on_the_size_of_files_is_one_line_and_python_s_tracker_says_nothing():
    """The pipe of its error stream is open until the tracker has ended, too."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(root=str(ROOT))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert "ONE LINE: no shared memory" in done.stdout and done.stderr == "", done


def test_a_record_that_does_not_exist_is_one_line():
    with pytest.raises(EgostreamError, match="no shared memory"):
        Large("egostream-nobody-made-this")


ORPHAN = """
import os, sys
sys.path.insert(0, {root!r})
from multiprocessing import resource_tracker
import numpy as np
from egostream.handover.record import SharedRecord, sweep
class Small(SharedRecord):
    dtype = np.dtype([("value", "i8")])
record = Small()
print(record.name, resource_tracker._resource_tracker._pid, flush=True)
input()
"""


def test_what_a_run_left_that_was_killed_with_all_its_processes_is_swept(monkeypatch):
    """Python's own tracker is killed, too, or it would sweep. What lives, or is young, stays."""
    alive = Large()
    child = subprocess.Popen(
        [sys.executable, "-c", ORPHAN.format(root=str(ROOT))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    name, tracker = child.stdout.readline().split()
    path = f"/dev/shm/{name}"
    try:
        with monkeypatch.context() as patch:
            patch.setattr(record, "YOUNG_S", 0.0)
            sweep()
        assert os.path.exists(path)  # its owner lives
        os.kill(int(tracker), signal.SIGKILL)
        child.kill()
        child.wait()
        os.utime(path, (0, 0))  # whatever the wall clock says
        sweep()
        assert os.path.exists(path)  # it is young
        monkeypatch.setattr(record, "YOUNG_S", 0.0)
        assert sweep() >= 1
        assert not os.path.exists(path) and os.path.exists(f"/dev/shm/{alive.name}")
    finally:
        child.kill()
        child.communicate()
        alive.close()
