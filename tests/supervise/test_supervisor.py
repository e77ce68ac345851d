"""The running pipeline under kills, slow readers, garbage and strangers: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest
from processes import wait_for, workers

from egostream.files import asset

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm and /proc")
BACK_WITHIN_S = 3.0


def shared_names(run) -> set[str]:
    """Shared memory that a run's supervisor has: that of other programs comes and goes."""
    maps = psutil.Process(run.process.pid).memory_maps()
    return {os.path.basename(one.path) for one in maps if one.path.startswith("/dev/shm/egostream-")}


def left_of(names: set[str]) -> set[str]:
    """Which of these are still there."""
    return names & set(os.listdir("/dev/shm"))


def seconds_until_newer(poses, t_ns, limit=15.0):
    """How long until a pose captured after ``t_ns`` arrives."""
    start = time.monotonic()
    while time.monotonic() - start < limit:
        pose = poses.newest(0.1)
        if pose is not None and pose.t_capture_ns > t_ns:
            return time.monotonic() - start
    raise AssertionError(f"no pose within {limit} s")


@pytest.mark.parametrize("victim", ["capture", "infer"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_poses_return_after_a_worker_is_killed(pipeline, victim, how):
    run = pipeline()
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        workers(run)[victim].send_signal(how)
        t_kill_ns = time.monotonic_ns()
        time.sleep(0.15)  # whatever was in flight is out
        while poses.newest(0) is not None:
            pass
        took = seconds_until_newer(poses, t_kill_ns + 150_000_000)
        assert took < BACK_WITHIN_S, f"{took:.1f} s; {run.output()}"
        after = poses.newest(1.0)
        assert after.seq > before.seq and after.message.dropped_frames >= before.message.dropped_frames
        assert wait_for(lambda: (s := poses.status(1.0)) and s.restarts[victim] == 1), poses.status()
        assert wait_for(lambda: poses.status(1.0).window_resets >= 1)  # whichever it was, the past is lost
    assert f"{victim} process ended (killed by signal {int(how)})" in run.output()


@pytest.mark.parametrize("victim", ["capture", "infer"])
def test_a_hung_worker_is_restarted(pipeline, victim):
    run = pipeline()
    with run.subscribe() as poses:
        run.wait_first(poses)
        workers(run)[victim].suspend()
        seconds_until_newer(poses, time.monotonic_ns() + int(1e9), limit=30)
    assert f"{victim} process stopped responding" in run.output()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_leaves_nothing_behind(pipeline, how):
    run = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")
    with run.subscribe() as poses:
        run.wait_first(poses)
        children = psutil.Process(run.process.pid).children(recursive=True)
        assert left_of(names := shared_names(run))
        run.process.send_signal(how)
        assert run.wait(10) == 0
    assert not left_of(names)
    # Python's own tracker of shared memory ends some milliseconds after its parent, when it sees that it is gone
    left = lambda: [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert wait_for(lambda: not left(), 1.0), left()
    assert "Traceback" not in run.output() and "leaked" not in run.output(), run.output()
    assert "poses," in run.output()


def test_a_suspended_run_goes_on(pipeline):
    """Ctrl-Z for longer than a heartbeat may be late, then fg: nobody is blamed."""
    run = pipeline()
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        everyone = [*workers(run).values(), psutil.Process(run.process.pid)]
        for process in everyone:
            process.suspend()
        time.sleep(6)
        for process in reversed(everyone):  # the supervisor first: it must not take the others for hung
            process.resume()
        seconds_until_newer(poses, time.monotonic_ns())
        after, status = poses.newest(5.0), poses.status(5.0)
        assert after.seq > before.seq and after.t_capture_ns - before.t_capture_ns > 6e9  # stamps say what happened
        assert status.restarts == {"capture": 0, "infer": 0}
    assert "stopped responding" not in run.output()


def test_a_restarted_recording_goes_on_where_it_was(pipeline):
    run = pipeline(source=str(asset("sample", "sample.avi")), assume_canonical=True, pace="every-frame")
    seqs = []
    with run.subscribe(every=True) as poses:
        seqs.append(run.wait_first(poses).seq)
        while (pose := poses.newest(10.0)) is not None:
            seqs.append(pose.seq)
            if len(seqs) == 20:
                workers(run)["capture"].kill()
            if pose.seq >= 89:
                break
        assert run.wait(15) == 0
    assert seqs == sorted(set(seqs)) and seqs[-1] == 89
    assert 90 - len(seqs) <= 2  # at most what was in flight is lost


def test_a_killed_supervisor_leaves_nothing_behind(pipeline):
    run = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")
    with run.subscribe() as poses:
        run.wait_first(poses)
    children, names = psutil.Process(run.process.pid).children(recursive=True), shared_names(run)
    run.process.kill()
    gone = lambda: not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]  # noqa: E731
    assert wait_for(gone), [(c, c.status()) for c in children if c.is_running()]
    assert names and wait_for(lambda: not left_of(names)), left_of(names)
    assert "Traceback" not in run.output(), run.output()
    again = pipeline(publish="tcp://127.0.0.1:15570", control="tcp://127.0.0.1:15571")  # the ports are free
    with again.subscribe() as poses:
        again.wait_first(poses)
