"""Publishing: poses and status on one ZeroMQ socket. Lossy by design: no client can slow it down, or fill its memory.

Clients see a PUB socket. It is an XPUB socket in its manual mode: a PUB socket takes any subscription, of any length
and number, and keeps all of them. Here a subscription counts only if a topic of the run can match it.
"""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from egostream.config import RunConfig, stream_configs
from egostream.errors import EgostreamError
from egostream.publish import curve
from egostream.publish.admission import Admission
from egostream.publish.connections import PeerLimit, most_peers
from egostream.publish.endpoints import bind
from egostream.publish.message import (
    POSE_TOPIC,
    STATUS_TOPIC,
    Placed,
    PoseMessage,
    StatusMessage,
    pack,
    pose_message,
    topic,
)
from egostream.types import Pose

#: Messages kept for a client that reads slowly: a second of a 60 fps camera. Then its messages, and only its, are
#: dropped.
SEND_QUEUE = 64
#: Longest frame that a peer may send, bytes: topics, and commands of CURVE, which have some 400. libzmq resets a peer
#: that announces more.
MAX_SUBSCRIPTION = 1024
#: Subscriptions of a peer that wait to be looked at. A peer that sends more of them waits, too: its memory, not ours.
#: As they come in a row, they cost 1 MiB a second with 2, and 20 with 64. With 1, clients whose keys are looked up
#: never get through (libzmq 4.3.5).
WAITING_SUBSCRIPTIONS = 2
#: Subscriptions that are looked at between two messages. Chosen by hand; a flood delays a message by as many.
SUBSCRIPTIONS_AT_ONCE = 100
#: How long a port may take to be free again after all connections were ended, seconds.
REBIND_S = 5.0
#: A peer has so long to introduce itself, ms: one that says nothing takes a place from others.
HANDSHAKE_MS = 3000


class Publisher:
    """The socket of a run: a topic for each stream. Raises EgostreamError where its endpoint cannot be bound."""

    def __init__(self, config: RunConfig, weights_id: str):
        self.config, self.weights_id = config, weights_id
        names = [one.stream for one in stream_configs(config)]
        self.topics = [topic(kind, name) for kind in (POSE_TOPIC, STATUS_TOPIC) for name in names]
        self.context = zmq.Context()
        self.admission = Admission(self.context, Path(config.client_keys)) if config.client_keys else None
        self.socket = self.open_socket()

    def open_socket(self) -> zmq.Socket:
        """A socket that clients can connect to. Raises EgostreamError where its endpoint cannot be bound."""
        socket = self.context.socket(zmq.XPUB)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.linger = 0
        socket.sndhwm, socket.rcvhwm = SEND_QUEUE, WAITING_SUBSCRIPTIONS
        socket.maxmsgsize, socket.handshake_ivl = MAX_SUBSCRIPTION, HANDSHAKE_MS
        if self.config.server_key:
            curve.serve(socket, self.config.server_key)
        self.limit = PeerLimit(socket, most_peers())
        try:
            bind(socket, self.config.publish, "publish")
        except EgostreamError:
            self.limit.close()
            socket.close()
            raise
        return socket

    def cut_off_all(self) -> None:
        """End every connection. Clients connect again by themselves; one whose key was taken away cannot.

        libzmq cannot end one connection alone, and lets go of a port a moment after it was told to.
        """
        self.limit.close()
        self.socket.close()
        deadline = time.monotonic() + REBIND_S
        while True:
            try:
                self.socket = self.open_socket()
                return
            except EgostreamError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def admit(self) -> None:
        """Let subscriptions that came since the last call take effect, as many as there is time for.

        Clients whose keys were taken away lose their connections.
        """
        if self.admission is not None and self.admission.has_lost_one():
            self.cut_off_all()
        for _ in range(SUBSCRIPTIONS_AT_ONCE):
            try:
                asked = self.socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            if any(one.startswith(asked[1:]) for one in self.topics):
                self.socket.setsockopt(zmq.SUBSCRIBE if asked[:1] == b"\1" else zmq.UNSUBSCRIBE, asked[1:])

    def publish_pose(self, stream: str, pose: Pose, dropped_frames: int, placed: Placed | None = None) -> PoseMessage:
        """Send one pose, never waiting. placed: where it is in the room. Returns the message."""
        self.admit()
        message = pose_message(stream, pose, self.weights_id, dropped_frames, placed)
        self.socket.send(pack(POSE_TOPIC, message), copy=False)
        return message

    def publish_status(self, status: StatusMessage) -> None:
        """Send one status, never waiting."""
        self.admit()
        self.socket.send(pack(STATUS_TOPIC, status))

    def publish_wire(self, data: bytes) -> None:
        """Send a message as it is, topic and all, never waiting."""
        self.admit()
        self.socket.send(data)

    def close(self) -> None:
        """Close the socket. What is not sent yet is dropped."""
        if self.admission is not None:
            self.admission.close()
        self.limit.close()
        self.socket.close()
        self.context.term()
