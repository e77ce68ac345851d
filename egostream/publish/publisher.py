"""Publishing: poses and status on one ZeroMQ socket. Lossy by design: no client can slow it down, or fill its memory.

Clients see a PUB socket. It is an XPUB socket in its manual mode: a PUB socket takes any subscription, of any length
and number, and keeps all of them. Here a subscription counts only if a topic of the run can match it.
"""

from __future__ import annotations

import zmq
from zmq.auth.thread import ThreadAuthenticator

from egostream.config import RunConfig, stream_configs
from egostream.publish import curve
from egostream.publish.endpoints import bind
from egostream.publish.message import POSE_TOPIC, STATUS_TOPIC, PoseMessage, StatusMessage, pack, pose_message, topic
from egostream.types import Pose

#: Messages kept for a client that reads slowly: a second of a 60 fps camera. Then its messages, and only its, are
#: dropped.
SEND_QUEUE = 64
#: Longest frame that a peer may send, bytes: topics, and commands of CURVE, which have some 400. libzmq resets a peer
#: that announces more.
MAX_SUBSCRIPTION = 1024
#: Subscriptions of a peer that wait to be looked at. A peer that sends more of them waits, too: its memory, not ours.
#: With 1, three million subscriptions in a row cost 5 MiB; with 64, 10 MiB a second for as long as they come.
WAITING_SUBSCRIPTIONS = 1
#: Subscriptions that are looked at between two poses: 0.2 ms.
SUBSCRIPTIONS_AT_ONCE = 100
#: A peer has so long to introduce itself, ms: one that says nothing takes a place from others.
HANDSHAKE_MS = 3000


class Publisher:
    """The socket of a run: a topic for each stream. Raises EgostreamError where its endpoint cannot be bound."""

    def __init__(self, config: RunConfig, weights_id: str):
        self.weights_id = weights_id
        self.context = zmq.Context()
        self.authenticator = self.make_authenticator(config)
        names = [one.stream for one in stream_configs(config)]
        self.topics = [topic(kind, name) for kind in (POSE_TOPIC, STATUS_TOPIC) for name in names]
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self.socket.linger = 0
        self.socket.sndhwm, self.socket.rcvhwm = SEND_QUEUE, WAITING_SUBSCRIPTIONS
        self.socket.maxmsgsize, self.socket.handshake_ivl = MAX_SUBSCRIPTION, HANDSHAKE_MS
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

    def admit(self) -> None:
        """Let subscriptions that came since the last call take effect, as many as there is time for."""
        for _ in range(SUBSCRIPTIONS_AT_ONCE):
            try:
                asked = self.socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            if any(one.startswith(asked[1:]) for one in self.topics):
                self.socket.setsockopt(zmq.SUBSCRIBE if asked[:1] == b"\1" else zmq.UNSUBSCRIBE, asked[1:])

    def publish_pose(self, stream: str, pose: Pose, dropped_frames: int) -> PoseMessage:
        """Send one pose, never waiting. Returns the message."""
        self.admit()
        message = pose_message(stream, pose, self.weights_id, dropped_frames)
        self.socket.send(pack(POSE_TOPIC, message), copy=False)
        return message

    def publish_status(self, status: StatusMessage) -> None:
        """Send one status, never waiting."""
        self.admit()
        self.socket.send(pack(STATUS_TOPIC, status))

    def close(self) -> None:
        """Close the socket. What is not sent yet is dropped."""
        if self.authenticator is not None:
            self.authenticator.stop()
        self.socket.close()
        self.context.term()
