"""Where a pose will be: at a part of its speed, in the camera's axes and in the room, and never where no speed is."""

from __future__ import annotations

import time

import numpy as np
import pytest
import zmq
from made_messages import pose_message

from egostream.publish.client import PoseSubscriber, TrackedPose
from egostream.publish.message import pack
from egostream.publish.prediction import FARTHEST_NS, SHARE, ahead

STEP_NS = 33_000_000
SPEED = np.array([0.3, -0.6, 0.9])  # metres a second
START = np.arange(45.0).reshape(15, 3) / 10


def moving(n: int, **changes):
    """The message of a body that moves evenly, in the camera's axes and twice as fast in the room."""
    way = SPEED * n * STEP_NS / 1e9
    room = {"joints_world": (START + 2 * way).tolist(), "world": "headset"}
    values = {"seq": n, "t_capture_ns": 10**9 + n * STEP_NS, "joints": (START + way).tolist(), **room}
    return pose_message(**{**values, **changes})


def tracked(message, before=None, same_clock=True) -> TrackedPose:
    return TrackedPose(message, np.array(message.joints), np.ones(15), np.zeros((15, 2)), 0, same_clock, before)


@pytest.mark.parametrize("ahead_ns", [0, 16_000_000, 66_000_000, 100_000_000, 10**9, -(10**9)])
def test_joints_go_on_at_a_part_of_their_speed_up_to_a_tenth_of_a_second(ahead_ns):
    pose = tracked(moving(1), moving(0))
    later = pose.at(pose.t_capture_ns + ahead_ns)
    way = SHARE * SPEED * np.clip(ahead_ns, 0, FARTHEST_NS) / 1e9
    np.testing.assert_allclose(later.joints, pose.joints + way)
    np.testing.assert_allclose(later.joints_world, pose.joints_world + 2 * way)
    np.testing.assert_allclose(later.message.joints, later.joints)
    assert (later.seq, later.t_capture_ns, later.world) == (pose.seq, pose.t_capture_ns, "headset")
    assert later.at(pose.t_capture_ns + 10**9) is later  # what is predicted has no speed of its own


def test_where_there_is_no_speed_joints_stay():
    alone = tracked(moving(1))
    assert alone.at(alone.t_capture_ns + STEP_NS) is alone
    for before in (moving(1), moving(2), moving(-10)):  # the same frame, a later one, one of long ago
        pose = tracked(moving(1), before)
        assert np.array_equal(pose.at(pose.t_capture_ns + STEP_NS).joints, pose.joints)


def test_a_room_that_changed_tells_no_speed_in_it():
    pose = tracked(moving(1), moving(0, world="guess"))
    later = pose.at(pose.t_capture_ns + STEP_NS)
    assert np.array_equal(later.joints_world, pose.joints_world) and not np.array_equal(later.joints, pose.joints)


def test_another_machines_clock_is_reckoned_by_wall_clocks():
    elsewhere = time.monotonic_ns() - int(9e12)  # its monotonic clock, captured 20 ms ago
    times = {"t_capture_ns": elsewhere, "clock_offset_ns": time.time_ns() - elsewhere - 20_000_000}
    before = moving(0, **times | {"t_capture_ns": elsewhere - STEP_NS})
    pose = tracked(moving(1, **times), before, same_clock=False)
    way = pose.at(time.monotonic_ns()).joints - pose.joints
    assert 0.019 * SHARE * SPEED[2] < way[0, 2] <= 0.1 * SHARE * SPEED[2]


def test_a_subscriber_keeps_the_pose_before_of_each_stream_unless_the_past_was_forgotten(tmp_path):
    endpoint = f"ipc://{tmp_path}/poses"
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.linger = 0
        publisher.bind(endpoint)
        with PoseSubscriber(endpoint, None, every=True) as poses:
            while poses.newest(0.05) is None:
                publisher.send(pack("pose", pose_message(stream="greeting")))
            for message in (moving(0), moving(0, stream="2"), moving(1), moving(2, continues=False), moving(3)):
                publisher.send(pack("pose", message))
            found = []
            while len(found) < 5:
                if (pose := poses.newest(5)).stream != "greeting":
                    found.append(pose)
    assert [pose.before and pose.before.seq for pose in found] == [None, None, 0, None, 2]


def test_bones_of_a_body_that_rests_keep_still():
    assert np.array_equal(ahead(START, START, STEP_NS, STEP_NS), START)
