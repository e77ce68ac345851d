"""Publishing: poses and status on one ZeroMQ PUB socket. Lossy by design: no client can slow it down."""

from __future__ import annotations

import ipaddress
import re
import time
from pathlib import Path

import zmq

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish import curve
from egostream.publish.message import POSE, STATUS, PoseMessage, StatusMessage, pack
from egostream.types import Pose

#: Messages kept for a client that reads slowly; then its messages, and only its, are dropped.
SEND_QUEUE = 64


def clock_offset_ns() -> int:
    """Wall clock minus monotonic clock, for clients on other machines."""
    return time.time_ns() - time.monotonic_ns()


def is_loopback(endpoint: str) -> bool:
    """Whether only programs on this machine can reach an endpoint."""
    if endpoint.startswith(("ipc://", "inproc://")):
        return True
    host = re.fullmatch(r"tcp://\[?([^\]]*?)\]?:[\d*]+", endpoint)
    if not host:
        return False
    if host[1] == "localhost":
        return True
    try:
        return ipaddress.ip_address(host[1]).is_loopback
    except ValueError:
        return False  # an interface name or a wildcard


def check_endpoint(name: str, endpoint: str, config: RunConfig) -> None:
    """Refuse an endpoint that ZeroMQ cannot bind, or that strangers could reach in the clear."""
    if not re.fullmatch(r"(tcp://.+:(\d+|\*)|ipc://.+)", endpoint):
        raise EgostreamError(f"{name} endpoint {endpoint!r} is not of the form tcp://ADDRESS:PORT or ipc://PATH")
    port = endpoint.rpartition(":")[2]
    if endpoint.startswith("tcp://") and not (port.isdigit() and 0 < int(port) < 65536):
        raise EgostreamError(f"{name} endpoint {endpoint}: port {port} is not one that clients could know; 1 to 65535 is possible")
    if is_loopback(endpoint) or config.server_key or config.insecure:
        return
    if name == "control":
        raise EgostreamError(f"the control endpoint {endpoint} can be reached from outside; it must be on loopback (tcp://127.0.0.1:PORT)")
    raise EgostreamError(
        f"{name} endpoint {endpoint} can be reached from outside: encrypt it (egostream keys -o keys, then --server-key keys/server.key_secret), or say --insecure"
    )


def check_keys(config: RunConfig) -> None:
    """Refuse CURVE settings that could not work, before anything starts."""
    if config.server_key:
        curve.load_key(config.server_key, need_secret=True)
    if config.client_keys:
        if not config.server_key:
            raise EgostreamError("--client-keys needs --server-key: without encryption clients prove nothing")
        if not list(Path(config.client_keys).glob("*.key")):
            raise EgostreamError(
                f"--client-keys {config.client_keys} holds no public certificate (*.key), so nobody could connect. Make one: egostream keys --help"
            )


def bind(socket: zmq.Socket, endpoint: str, what: str) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        reason = "is taken by another program (another egostream run?)" if error.errno == zmq.EADDRINUSE else f"cannot be bound: {error}"
        raise EgostreamError(f"{what} endpoint {endpoint} {reason}. Choose another: --{what} tcp://127.0.0.1:PORT") from None


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
        self.socket.send(pack(POSE, message), copy=False)
        return message

    def publish_status(self, status: StatusMessage) -> None:
        self.socket.send(pack(STATUS, status))

    def close(self) -> None:
        if self.authenticator is not None:
            self.authenticator.stop()
        self.socket.close()
        self.context.term()
