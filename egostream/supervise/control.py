"""The control socket: small msgpack requests on loopback, answered by the supervisor."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import zmq

from egostream.errors import EgostreamError
from egostream.publish.endpoints import bind

MAX_REQUEST = 4096  # bytes; libzmq drops a peer that sends more


class ControlServer:
    """A REP socket that answers ``{"cmd": ...}`` maps and refuses anything else politely.

    Raises EgostreamError where its endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, answer: Callable[[dict], dict]):
        self.answer = answer
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.maxmsgsize = MAX_REQUEST
        try:
            bind(self.socket, endpoint, "control")
        except EgostreamError:
            self.close()
            raise

    def poll(self, timeout_s: float) -> None:
        """Answer what arrives within the time."""
        if not self.socket.poll(round(timeout_s * 1000)):
            return
        parts = self.socket.recv_multipart()
        self.socket.send(msgspec.msgpack.encode(self.respond(parts)))

    def respond(self, parts: list[bytes]) -> dict:
        """The answer to a request, which may be anything."""
        try:
            request = msgspec.msgpack.decode(parts[0], type=dict)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {"ok": False, "error": "a request is one msgpack map, such as {'cmd': 'status'}"}
        return self.answer(request)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
        self.context.term()


def request(endpoint: str, command: dict, timeout_s: float = 2.0) -> dict:
    """Send one control request and return its answer. Raises EgostreamError when nobody answers."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise EgostreamError(
                f"cannot connect to {endpoint}: {error}. An endpoint looks like tcp://127.0.0.1:5571"
            ) from None
        socket.send(msgspec.msgpack.encode(command))
        if not socket.poll(round(timeout_s * 1000)):
            raise EgostreamError(
                f"no answer from {endpoint} within {timeout_s:g} s. Is it running? Start it: egostream run"
            )
        try:
            return msgspec.msgpack.decode(socket.recv(), type=dict)
        except msgspec.MsgspecError:
            raise EgostreamError(f"whoever answers on {endpoint} is not an egostream run") from None
