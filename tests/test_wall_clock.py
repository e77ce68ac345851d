"""No decision of a run rests on the wall clock: set an hour ahead and back, it changes the offset field alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from made_messages import pose_message
from processes import wait_for

from egostream.errors import EgostreamError
from egostream.publish.client import is_same_clock
from egostream.publish.control import request
from egostream.publish.message import clock_offset_ns
from tools.breaking.world import World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the C library's functions are replaced")
HOUR_S, HOUR_NS = 3600, 3_600_000_000_000


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The world of programs that this test starts."""
    try:
        made = World(tmp_path)
    except EgostreamError as error:
        pytest.skip(str(error))
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def test_the_clock_of_this_world_can_be_set_and_its_disk_filled(world, tmp_path):
    code = (
        "import os, sys, time\nfor line in sys.stdin:\n"
        "    try:\n        os.write(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), b'x')\n        said = 'written'\n"
        "    except OSError as error:\n        said = error.strerror.replace(' ', '-')\n"
        "    print(time.time(), time.monotonic(), said, flush=True)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "file")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def told() -> tuple[float, float, str]:
        child.stdin.write("\n")
        child.stdin.flush()
        wall, monotonic, said = child.stdout.readline().split()
        return float(wall) - time.time(), float(monotonic) - time.monotonic(), said

    for offset_s in (0, HOUR_S, -HOUR_S):
        world.change(clock_s=offset_s, disk_is_full=int(offset_s > 0))
        wall_s, monotonic_s, said = told()
        assert abs(wall_s - offset_s) < 60 and abs(monotonic_s) < 60
        assert said == ("No-space-left-on-device" if offset_s > 0 else "written")
    child.stdin.close()
    child.wait()


@pytest.mark.parametrize(
    ("offset_ns", "published_ago_ns", "is_same"),
    [
        (0, 0, True),
        (0, HOUR_NS, True),  # read late
        (HOUR_NS, 1_000_000, True),  # the wall clock was set while it was on its way
        (-HOUR_NS, 1_000_000, True),
        (HOUR_NS, HOUR_NS, False),
        (HOUR_NS, -5 * 10**9, False),
    ],
)
def test_a_message_on_its_way_while_the_clock_is_set_is_of_the_same_clock(offset_ns, published_ago_ns, is_same):
    now_ns = time.monotonic_ns()
    message = pose_message(clock_offset_ns=clock_offset_ns() + offset_ns, t_publish_ns=now_ns - published_ago_ns)
    assert is_same_clock(message, now_ns) == is_same


def test_an_hour_either_way_changes_nothing_but_the_offset(world, pipeline):
    run = pipeline()
    with run.subscribe() as poses:
        first = run.wait_first(poses)
        true_ns, before = first.clock_offset_ns, poses.status(5.0)
        seen = [first]
        for offset_s in (HOUR_S, -HOUR_S, 0):
            world.change(clock_s=offset_s)
            wanted_ns = true_ns + offset_s * 1_000_000_000

            def has_followed(wanted_ns=wanted_ns) -> bool:
                seen.extend(pose for _ in range(20) if (pose := poses.newest(1.0)) is not None)
                return abs(seen[-1].clock_offset_ns - wanted_ns) < 10**9

            assert wait_for(has_followed, 20.0), run.output()
            assert request(run.control, {"cmd": "ping"})["ok"]
        status = poses.status(5.0)
    seqs, stamps = [pose.seq for pose in seen], [pose.t_capture_ns for pose in seen]
    assert seqs == sorted(set(seqs)) and stamps == sorted(set(stamps))
    assert max(stamps) - min(stamps) < HOUR_NS / 10 and all(pose.age_ns() < HOUR_NS / 10 for pose in seen)
    assert status.restarts == {"capture": 0, "infer": 0} and status.camera.state == "streaming"
    assert status.window_resets <= before.window_resets + (seqs[-1] - seqs[0]) // 90 + 1  # the clip began anew
    assert "ended" not in run.output() and "responding" not in run.output()
