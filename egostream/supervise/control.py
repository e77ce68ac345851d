"""The control socket: small msgpack requests of this user's programs, answered by the supervisor."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from egostream.errors import EgostreamError
from egostream.files import runtime_folder
from egostream.handover.picture_ring import Picture, PictureRing
from egostream.publish.connections import PeerLimit, most_peers
from egostream.publish.endpoints import bind, ipc_path
from egostream.supervise.relay import Relay

MAX_REQUEST = 4096  # bytes; libzmq drops a peer that sends more
#: Requests of one peer that wait. One that sends more has not read its answers.
WAITING_REQUESTS = 4
#: A peer has so long to introduce itself, ms.
HANDSHAKE_MS = 3000
MAX_ANSWER = 8 << 20  # bytes of pictures, where there are several


class ControlServer:
    """A REP socket that answers ``{"cmd": ...}`` maps and refuses anything else politely.

    Raises EgostreamError where its endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, answer: Callable[[dict], dict]):
        self.answer = answer
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.maxmsgsize, self.socket.rcvhwm = MAX_REQUEST, WAITING_REQUESTS
        self.socket.handshake_ivl = HANDSHAKE_MS
        self.limit = PeerLimit(self.socket, most_peers())
        self.relay: Relay | None = None
        self.path: Path | None = None  # of the Unix socket, once it is this run's
        try:
            self.listen(endpoint)
        except EgostreamError:
            self.close()
            raise

    def listen(self, endpoint: str) -> None:
        """Bind the socket. What comes by TCP takes the way over a relay, whose limits libzmq does not have.

        Windows has no Unix sockets for the way behind it. Raises EgostreamError.
        """
        if endpoint.startswith("tcp://") and sys.platform != "win32":
            path = runtime_folder() / f"control-{endpoint.rpartition(':')[2]}"
            self.relay = Relay(endpoint, path)
            endpoint = f"ipc://{path}"
        bind(self.socket, endpoint, "control", is_private=True)
        self.path = ipc_path(endpoint)

    def poll(self, seconds: float) -> None:
        """Answer everything that arrives for so long. Who watches pictures asks many times a second."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self.socket.poll(math.ceil(left * 1000)):
                continue
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                continue  # a peer that is no REQ sent what libzmq announces, and then drops: waiting for it never ends
            self.socket.send(msgspec.msgpack.encode(self.respond(parts)))

    def respond(self, parts: list[bytes]) -> dict:
        """The answer to a request, which may be anything."""
        try:
            request = msgspec.msgpack.decode(parts[0], type=dict)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {"ok": False, "error": "a request is one msgpack map, such as {'cmd': 'status'}"}
        try:
            return self.answer(request)
        except Exception as error:  # whatever a request brings about, the run goes on
            return {"ok": False, "error": f"this request cannot be answered: {type(error).__name__}"}

    def close(self) -> None:
        """Close the socket."""
        if self.relay is not None:
            self.relay.close()
        self.limit.close()
        self.socket.close()
        self.context.term()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def picture_answer(ring: PictureRing, request: dict) -> dict:
    """The answer to a request for pictures, which makes that they are kept for a while.

    ``after``: all after the picture of that number, up to MAX_ANSWER bytes; ``seq``: that of one frame, or the newest
    where it is not kept; without both the newest alone. ``exact``: the asker records, and wants every one of them, to
    the bit.
    """
    after, seq, is_exact = request.get("after"), request.get("seq"), request.get("exact", False)
    if any(number is not None and type(number) is not int for number in (after, seq)) or type(is_exact) is not bool:
        return {"ok": False, "error": "pictures takes after and seq (numbers) and exact (true or false)"}
    ring.want(is_exact)
    found = ring.after(after, MAX_ANSWER) if after is not None else [ring.of_frame(seq) or ring.newest()]
    pictures: list[Picture] = [picture for picture in found if picture is not None]
    return {"ok": True, "lost": int(ring["lost"]), "pictures": [picture._asdict() for picture in pictures]}
