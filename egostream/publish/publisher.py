"""Publishing: poses and status on one ZeroMQ PUB socket. Lossy by design: no client can slow it down."""

from __future__ import annotations

import zmq
from zmq.auth.thread import ThreadAuthenticator

from egostream.config import RunConfig
from egostream.publish import curve
from egostream.publish.endpoints import bind
from egostream.publish.message import (
    POSE_TOPIC,
    STATUS_TOPIC,
    Placed,
    PoseMessage,
    StatusMessage,
    pack,
    pose_message,
)
from egostream.types import Pose

#: Messages kept for a client that reads slowly: a second of a 60 fps camera. Then its messages, and only its, are
#: dropped.
SEND_QUEUE = 64


class Publisher:
    """The PUB socket of a run: a topic for each stream. Raises EgostreamError where its endpoint cannot be bound."""

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

    def make_authenticator(self, config: RunConfig) -> ThreadAuthenticator | None:
        """Admit known clients only, when their keys were given."""
        if not config.client_keys:
            return None
        authenticator = ThreadAuthenticator(self.context)
        authenticator.start()
        authenticator.configure_curve(domain="*", location=config.client_keys)
        return authenticator

    def publish_pose(self, stream: str, pose: Pose, dropped_frames: int, placed: Placed | None = None) -> PoseMessage:
        """Send one pose, never waiting. placed: what a head pose adds to it. Returns the message."""
        message = pose_message(stream, pose, self.weights_id, dropped_frames, placed)
        self.socket.send(pack(POSE_TOPIC, message), copy=False)
        return message

    def publish_status(self, status: StatusMessage) -> None:
        """Send one status, never waiting."""
        self.socket.send(pack(STATUS_TOPIC, status))

    def close(self) -> None:
        """Close the socket. What is not sent yet is dropped."""
        if self.authenticator is not None:
            self.authenticator.stop()
        self.socket.close()
        self.context.term()
