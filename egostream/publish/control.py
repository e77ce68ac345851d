"""Requests to a run's control socket, and their answers."""

from __future__ import annotations

from typing import get_type_hints

import msgspec
import zmq

from egostream.config import DEFAULT_CONTROL
from egostream.errors import LONGEST_REASON, EgostreamError, printable
from egostream.handover.picture_ring import CAPACITY, Picture
from egostream.publish.endpoints import use_ipv6

#: Bytes that an answer may have: the largest picture there can be, and words about it.
MAX_ANSWER = CAPACITY + (1 << 20)
PICTURE_TYPES = get_type_hints(Picture)


class ControlClient:
    """A REQ socket to a run that is used again and again. Not thread-safe.

    timeout_s: how long an answer is waited for. Raises EgostreamError for what is no endpoint.
    """

    def __init__(self, endpoint: str, timeout_s: float = 2.0):
        self.endpoint, self.timeout_s = endpoint, timeout_s
        self.context = zmq.Context()
        self.socket: zmq.Socket | None = None
        try:
            self.connect()
        except EgostreamError:
            self.close()
            raise

    def connect(self) -> None:
        """Connect a new socket: one that got no answer can ask nothing more."""
        self.disconnect()
        self.socket = self.context.socket(zmq.REQ)
        self.socket.linger, self.socket.maxmsgsize = 0, MAX_ANSWER
        self.socket.sndtimeo = round(self.timeout_s * 1000)  # whoever listens there may be no run, and take nothing
        use_ipv6(self.socket, self.endpoint)
        try:
            self.socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise EgostreamError(
                f"cannot connect to {self.endpoint}: {error}. An endpoint looks like {DEFAULT_CONTROL}"
            ) from None

    def disconnect(self) -> None:
        """Close the socket."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def ask(self, command: dict) -> dict:
        """Send one request and return its answer. Raises EgostreamError when nobody answers, or who is no run."""
        if self.socket is None:
            self.connect()
        assert self.socket is not None
        try:
            self.socket.send(msgspec.msgpack.encode(command))
            if not self.socket.poll(round(self.timeout_s * 1000)):
                raise zmq.Again
            return msgspec.msgpack.decode(self.socket.recv(zmq.NOBLOCK), type=dict)
        except zmq.Again:
            self.disconnect()
            raise EgostreamError(
                f"no answer from {self.endpoint} within {self.timeout_s:g} s. Is it running? Start it: egostream run"
            ) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EgostreamError(f"whoever answers on {self.endpoint} is not an egostream run") from None

    def pictures(
        self, stream: str, after: int | None = None, is_exact: bool = False, seq: int | None = None
    ) -> tuple[list[Picture], int]:
        """Pictures of a stream's camera, as they are encoded, and how many could not be kept for a recorder.

        after: all after the picture of that number which are still there; None: the newest alone, if there is one.
        seq: the picture of that frame alone, or the newest where it is not kept.
        is_exact: every picture is wanted from now on, to the bit. Pictures are kept while somebody asks for them: the
        first request finds none. Raises EgostreamError as ``ask``, and where the run knows no such stream.
        """
        answer = self.ask({"cmd": "pictures", "stream": stream, "after": after, "exact": is_exact, "seq": seq})
        if not answer.get("ok"):
            why = printable(str(answer.get("error"))[:LONGEST_REASON])
            raise EgostreamError(f"the run on {self.endpoint} gives no pictures: {why}")
        try:
            return [picture_of(one) for one in answer["pictures"]], int(answer["lost"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise EgostreamError(
                f"whoever answers on {self.endpoint} sends no pictures that this client knows"
            ) from None

    def close(self) -> None:
        """Close the socket."""
        self.disconnect()
        self.context.term()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def picture_of(fields: dict) -> Picture:
    """A picture as it came. Raises TypeError where something is missing, too much, or of another type."""
    picture = Picture(**fields)
    for name, kind in PICTURE_TYPES.items():
        if type(getattr(picture, name)) is not kind:
            raise TypeError(name)
    return picture


def request(endpoint: str, command: dict, timeout_s: float = 2.0) -> dict:
    """Send one control request and return its answer. Raises EgostreamError when nobody answers."""
    with ControlClient(endpoint, timeout_s) as client:
        return client.ask(command)
