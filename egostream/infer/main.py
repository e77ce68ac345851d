"""The inference process: rings -> network over each stream's past -> publisher."""

from __future__ import annotations

from contextlib import closing

from egostream.handover.worker import Worker
from egostream.head.room import Room, open_rooms
from egostream.infer.load import load_estimator
from egostream.infer.mount import MountChecks
from egostream.infer.taker import FrameTaker
from egostream.publish.feed import Feed
from egostream.publish.publisher import Publisher
from egostream.run_setup import RunSetup

IDLE_S = 0.1  # how long to wait for a frame before looking at the clock and the boards


def run(setup: RunSetup, worker: Worker) -> None:
    """Take every stream's newest frame, estimate, publish; status once a second and on change."""
    with closing(Publisher(setup.config, setup.weights.id)) as publisher:
        with open_rooms(setup, publisher, worker.say) as rooms:
            estimate_and_publish(setup, worker, publisher, rooms)


def estimate_and_publish(setup: RunSetup, worker: Worker, publisher: Publisher, rooms: list[Room | None]) -> None:
    """The loop, until told to stop. rooms: of each stream, or None without head poses."""
    taker = FrameTaker(worker, setup.config.batch_wait_ms / 1e3)
    live = [number for number, stream in enumerate(setup.streams) if stream.drops_frames]

    def is_frame_waiting() -> bool:
        return taker.has_fresh(live)

    estimator = load_estimator(setup, worker.say, worker.should_stop, live, is_frame_waiting)
    mounts = MountChecks(setup, worker, estimator, live, is_frame_waiting)
    feeds = [
        Feed(setup, number, worker, publisher, stream, estimator.manifest, estimator.motion, rooms[number])
        for number, stream in enumerate(estimator.streams)
    ]
    worker.board["infer_ready"] = 1
    while not worker.should_stop():
        publisher.admit()
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
