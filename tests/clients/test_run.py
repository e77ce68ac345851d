"""Every client beside a running ``egostream run``: the poses that it prints are those of egostream's own client."""

from __future__ import annotations

import msgspec
import pytest
import release_0_1
from built_clients import AXES, RunningClient, check_places
from processes import wait_for

from egostream.publish.message import ENCODER


def start(commands, endpoint: str) -> dict[str, RunningClient]:
    """All clients that can be built here."""
    running = {}
    for name in AXES:
        try:
            running[name] = RunningClient(commands(name), endpoint, "left")
        except pytest.skip.Exception:
            continue
    return running


def test_all_clients_print_the_poses_of_a_run(pipeline, commands):
    run, clients = pipeline(stream="left", fps=10), {}
    try:
        with run.subscribe(every=True) as poses:
            run.wait_first(poses)
            clients, received = start(commands, run.endpoint), {}
            while min(len(client.lines) for client in clients.values()) < 5:
                pose = poses.newest(5.0)
                assert pose is not None, run.output()
                received[pose.seq] = pose.joints
            status = poses.status(5.0)
            last = max(received)
            for name, client in clients.items():
                assert wait_for(lambda client=client: client.lines[-1].seq >= last), name
                both = [line for line in client.lines if line.seq in received]
                assert len(both) >= 4 and not client.skipped(), name
                for line in both:
                    check_places(line, received[line.seq], AXES[name])
                    assert 0 < line.age_ms < 60_000
        old = msgspec.msgpack.decode(ENCODER.encode(status), type=release_0_1.Status)
        assert (old.camera.state, old.poses) == (status.camera.state, status.poses)
    finally:
        for client in clients.values():
            client.close()
