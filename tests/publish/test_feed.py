"""What of a stream goes out, and what does not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from egostream.config import RunConfig
from egostream.publish.feed import Feed
from egostream.publish.figures import StreamStats
from egostream.types import Pose


def test_a_pose_that_is_not_finite_is_not_published_and_said_once():
    feed, said, published = Feed.__new__(Feed), [], []
    feed.stream, feed.engine = SimpleNamespace(config=RunConfig(stream="left")), SimpleNamespace(precision="fp16")
    feed.board, feed.stats, feed.clip_error, feed.room = {}, StreamStats(), None, None
    feed.say, feed.has_said_not_finite = said.append, False

    def publish_pose(stream, pose, dropped, placed):
        assert placed is None
        published.append(pose.seq)
        return SimpleNamespace(t_publish_ns=1, stages_ns={"network": 1})

    feed.publisher = SimpleNamespace(publish_pose=publish_pose)
    for seq in range(4):
        joints = np.full((15, 3), np.nan if seq in (1, 2) else 0.5, np.float32)
        feed.stats.arrived(seq)
        feed.publish(Pose(seq, seq, joints, np.zeros((15, 2)), np.ones(15), {}, 0))
        assert feed.board["infer_dropped"] == feed.stats.dropped_frames and feed.board["infer_next_seq"] == seq + 1
    assert feed.stats.dropped_frames == 2 and feed.board["infer_poses"] == 2
    assert (
        published == [0, 3]
        and len(said) == 1
        and "stream left: " in said[0]
        and "fp16" in said[0]
        and "--precision fp32" in said[0]
    )
