"""The inference process: rings -> network over each stream's past -> publisher."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from egostream.handover.worker import Worker
from egostream.head.room import Guess, open_rooms
from egostream.infer.load import load_estimator
from egostream.infer.mount import MountChecks
from egostream.infer.taker import FrameTaker
from egostream.publish.feed import Feed
from egostream.publish.publisher import Publisher
from egostream.run_setup import RunSetup

IDLE_S = 0.1  # how long to wait for a frame before looking at the clock and the boards
#: A run's own recorder is waited for, seconds: it starts in one, but on a busy machine. It is greeted so often.
HOLD_S, HELLO_S = 15.0, 0.05


def run(setup: RunSetup, worker: Worker) -> None:
    """Take every stream's newest frame, estimate, publish; status once a second and on change."""
    with closing(Publisher(setup.config, setup.weights.id)) as publisher:
        with open_rooms(setup, publisher, worker.say) as rooms:
            estimate_and_publish(setup, worker, publisher, rooms)


def wait_recorder(worker: Worker, feeds: list[Feed]) -> None:
    """Hold the first pose until the run's recorder has heard a status and asks for pictures, or for HOLD_S."""
    deadline = time.monotonic() + HOLD_S
    while not all(link.pictures["exact_until_ns"] for link in worker.links) and time.monotonic() < deadline:
        for feed in feeds:
            feed.publish_status()
        if worker.sleep(HELLO_S):
            return
    for link in worker.links:
        link.ring.read_newest(link.taken)  # its picture was not kept


def estimate_and_publish(setup: RunSetup, worker: Worker, publisher: Publisher, rooms: Sequence[Guess]) -> None:
    """The loop, until told to stop. rooms: of each stream."""
    taker = FrameTaker(worker, setup.config.batch_wait_ms / 1e3)
    live = [number for number, stream in enumerate(setup.streams) if stream.drops_frames]

    def is_frame_waiting() -> bool:
        return taker.has_fresh(live)

    estimator = load_estimator(setup, worker.say, worker.should_stop, live, is_frame_waiting, rooms)
    mounts = MountChecks(setup, worker, estimator, live, is_frame_waiting)
    feeds = [
        Feed(setup, number, worker, publisher, stream, estimator.manifest, estimator.motion, rooms[number])
        for number, stream in enumerate(estimator.streams)
    ]
    if setup.config.record:
        wait_recorder(worker, feeds)
    worker.board["infer_ready"] = 1
    while not worker.should_stop():
        for feed in feeds:
            feed.tick()
        frames = taker.take(IDLE_S, estimator.most_at_once)
        for number, frame in frames.items():
            feeds[number].arrived(frame.seq)
        for number, pose in estimator.poses(frames):
            feeds[number].publish(pose)
            mounts.saw(number, frames[number], pose)
        estimator.catch_up()
        mounts.catch_up()
