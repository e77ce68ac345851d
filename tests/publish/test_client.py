"""The client: what it receives, its axes, its clocks."""

from __future__ import annotations

import time

import numpy as np
import pytest
import zmq
from made_messages import pose_message
from made_run import made_status

from egostream.errors import EgostreamError
from egostream.publish.client import OPENXR, UNITY, PoseSubscriber, TrackedPose
from egostream.publish.message import pack


def test_all_streams_are_received_every_message_or_not_at_all():
    with pytest.raises(EgostreamError, match="every=True"):
        PoseSubscriber("ipc:///tmp/egostream-test-none", None)


def test_of_several_streams_every_status_is_received(tmp_path):
    """They come one right after another: the newest must not hide the others."""
    endpoint, context = f"ipc://{tmp_path}/poses", zmq.Context()
    with context.socket(zmq.PUB) as publisher, PoseSubscriber(endpoint, None, every=True) as poses:
        publisher.bind(endpoint)
        received, deadline = set(), time.monotonic() + 10
        while received != {"a", "b", "c"} and time.monotonic() < deadline:
            for name in ("a", "b", "c"):
                publisher.send(pack("status", made_status(stream=name)))
            time.sleep(0.05)
            while (status := poses.new_status()) is not None:
                received.add(status.stream)
        assert received == {"a", "b", "c"}
    context.term()


def test_age_through_a_tunnel_goes_by_wall_clocks(tmp_path):
    """The endpoint is on this machine, but the publisher's monotonic clock began elsewhere."""
    endpoint, context = f"ipc://{tmp_path}/poses", zmq.Context()
    with context.socket(zmq.PUB) as publisher, PoseSubscriber(endpoint, "1") as poses:
        publisher.bind(endpoint)
        here, elsewhere = time.monotonic_ns(), time.monotonic_ns() - int(9e12)
        for t_ns, offset, same in ((here, time.time_ns() - here, True), (elsewhere, time.time_ns() - elsewhere, False)):
            message = pack("pose", pose_message(t_capture_ns=t_ns, clock_offset_ns=offset))
            for _ in range(100):  # until the subscription has arrived, and what came before is past
                publisher.send(message)
                if (pose := poses.newest(0.05)) is not None and pose.t_capture_ns == t_ns:
                    break
            assert pose.same_clock is same and 0 <= pose.age_ns() < 20e9
    context.term()


def test_joints_in_the_room_are_there_where_a_head_pose_placed_them():
    placed = {"joints_world": [[0.5, 1.0, -2.0]] * 15, "world": "headset"}
    received = [TrackedPose(pose_message(**more), np.zeros((15, 3)), *[None] * 4) for more in ({}, placed)]
    assert [pose.world for pose in received] == ["", "headset"] and received[0].joints_world is None
    assert received[1].joints_world.shape == (15, 3) and received[1].joints_world[3].tolist() == [0.5, 1.0, -2.0]


def test_unity_and_openxr_axes():
    """A point right of, above and before the camera; Unity is left-handed, OpenXR right-handed with z backward."""
    joints = np.zeros((15, 3))
    joints[6] = [1.0, -2.0, 3.0]
    pose = TrackedPose(
        pose_message(t_capture_ns=5, clock_offset_ns=100), joints, np.ones(15), np.zeros((15, 2)), 0, True
    )
    assert pose.unity()[6].tolist() == [1, 2, 3] and pose.openxr()[6].tolist() == [1, 2, -3]
    assert np.prod(UNITY) == -1 and np.prod(OPENXR) == 1  # a mirror, and a rotation
    assert pose.joint("left_wrist").tolist() == [1, -2, 3]
    assert (pose.t_capture_wall_ns, pose.clock_offset_ns) == (105, 100)


@pytest.mark.parametrize("timeout", [-1, -1e-9, float("nan"), float("inf"), 1e12])
def test_a_timeout_that_is_none_is_refused_and_waits_for_nothing(timeout):
    with PoseSubscriber("ipc:///tmp/egostream-test-none") as poses:
        with pytest.raises(EgostreamError, match="timeout is"):
            poses.newest(timeout)
        with pytest.raises(EgostreamError, match="timeout is"):
            poses.status(timeout)


def test_a_closed_subscriber_says_so():
    poses = PoseSubscriber("ipc:///tmp/egostream-test-none")
    poses.close()
    with pytest.raises(EgostreamError, match="Was it closed"):
        poses.newest(0)
