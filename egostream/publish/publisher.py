"""Publishing: poses and status on one ZeroMQ PUB socket. Lossy by design: no client can slow it down."""

from __future__ import annotations

import time

import zmq

from egostream.config import RunConfig
from egostream.publish import curve
from egostream.publish.endpoints import bind
from egostream.publish.message import POSE_TOPIC, STATUS_TOPIC, PoseMessage, StatusMessage, pack
from egostream.types import Pose

#: Messages kept for a client that reads slowly; then its messages, and only its, are dropped.
SEND_QUEUE = 64


def clock_offset_ns() -> int:
    """Wall clock minus monotonic clock, for clients on other machines."""
    return time.time_ns() - time.monotonic_ns()


class Publisher:
    """The PUB socket of a run: a topic for each stream."""

    def __init__(self, config: RunConfig, weights_id: str):
        self.weights_id = weights_id
        self.context = zmq.Context()
        self.authenticator = self.make_authenticator(config)
        self.socket = self.context.socket(zmq.PUB)
        self.socket.linger = 0
        self.socket.sndhwm = SEND_QUEUE
        if config.server_key:
            curve.serve(self.socket, config.server_key)
        bind(self.socket, config.publish, "publish")

    def make_authenticator(self, config: RunConfig):
        """Admit known clients only, when their keys were given."""
        if not config.client_keys:
            return None
        from zmq.auth.thread import ThreadAuthenticator

        authenticator = ThreadAuthenticator(self.context)
        authenticator.start()
        authenticator.configure_curve(domain="*", location=config.client_keys)
        return authenticator

    def publish_pose(self, stream: str, pose: Pose, dropped_frames: int) -> PoseMessage:
        """Send one pose, never waiting. Returns the message."""
        joints, confidence, keypoints = pose.joints.tolist(), pose.confidence.tolist(), pose.keypoints.tolist()
        t_publish_ns = time.monotonic_ns()
        message = PoseMessage(
            stream=stream, seq=pose.seq, t_capture_ns=pose.t_capture_ns, t_publish_ns=t_publish_ns,
            clock_offset_ns=clock_offset_ns(), stages_ns={**pose.stages_ns, "publish": t_publish_ns - pose.t_done_ns},
            joints=joints, confidence=confidence, keypoints=keypoints, weights=self.weights_id, dropped_frames=dropped_frames,
        )  # fmt: skip
        self.socket.send(pack(POSE_TOPIC, message), copy=False)
        return message

    def publish_status(self, status: StatusMessage) -> None:
        self.socket.send(pack(STATUS_TOPIC, status))

    def close(self) -> None:
        if self.authenticator is not None:
            self.authenticator.stop()
        self.socket.close()
        self.context.term()
