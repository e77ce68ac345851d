"""The inference process: rings -> network over the causal windows -> publisher."""

from __future__ import annotations

from egostream.handover.worker import Worker
from egostream.infer.estimator import load_estimator
from egostream.infer.taker import FrameTaker
from egostream.publish.feed import Feed
from egostream.publish.publisher import Publisher
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import drops_frames

IDLE_S = 0.1  # how long to wait for a frame before looking at the clock and the boards


def run(setup: RunSetup, worker: Worker) -> None:
    """Take every stream's newest frame, estimate, publish; status once a second and on change."""
    publisher = Publisher(setup.config, setup.weights.id)
    taker = FrameTaker(worker, setup.config.batch_wait_ms / 1e3)
    live_streams = [number for number, stream in enumerate(setup.streams) if drops_frames(stream.config)]
    estimator = load_estimator(
        setup, worker.say, worker.should_stop, live_streams, lambda: taker.has_fresh(live_streams)
    )
    feeds = [Feed(setup, number, worker, publisher, estimator) for number in range(len(setup.streams))]
    worker.board["infer_ready"] = 1
    while not worker.should_stop():
        for feed in feeds:
            feed.tick()
        frames = taker.take(IDLE_S, estimator.most_at_once)
        for number, frame in frames.items():
            feeds[number].stats.arrived(frame.seq)
        for number, pose in estimator.estimate_batch(frames):
            feeds[number].publish(pose)
    publisher.close()
