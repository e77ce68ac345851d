"""OSC over UDP: messages and bundles out, to a host that may be absent, slow or started again."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from collections.abc import Sequence

import numpy as np

from egostream.errors import EgostreamError

#: Datagrams stay below what an Ethernet frame holds: larger ones come in parts, and with one part all is lost.
LARGEST_DATAGRAM = 1472
Argument = str | int | float
Message = tuple[str, Sequence[Argument]]
#: OSC's letters for types.
KINDS: dict[type, str] = {str: "s", int: "i", float: "f"}


def parse_target(text: str, port: int) -> tuple[str, int]:
    """HOST:PORT, HOST, :PORT or [IPv6]:PORT as (host, port). Raises EgostreamError."""
    host, colon, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon or (":" in host and not host.startswith("[")):  # no port, or an IPv6 address without one
        host, number = text, str(port)
    host = host.strip("[]") or "127.0.0.1"
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise EgostreamError(f"--to {text}: {number!r} is no port. Give HOST:PORT, such as 127.0.0.1:{port}")
    return host, int(number)


class OscSender:
    """Sends to one host, and never waits: what the system does not take at once is lost."""

    def __init__(self, to: str, port: int):
        """to: HOST:PORT. Raises EgostreamError where the host has no address."""
        host, number = parse_target(to, port)
        try:
            family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
        except (OSError, UnicodeError) as error:
            raise EgostreamError(
                f"--to {to}: the host {host!r} has no address ({error}). Give its IP address"
            ) from None
        self.address = address
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.name = f"{host}:{number}"

    def send(self, messages: Sequence[Message], is_bundled: bool = True) -> None:
        """Send messages, as one datagram or each alone."""
        for datagram in [encode_bundle(messages)] if is_bundled else [encode(*message) for message in messages]:
            self.send_datagram(datagram)

    def send_datagram(self, datagram: bytes) -> None:
        """Send a datagram. Absent receivers and full buffers are no errors."""
        with contextlib.suppress(OSError):  # refused, unreachable, or would block
            self.socket.sendto(datagram, self.address)

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()


#: A bundle to be taken at once: the name, and the timetag 1.
BUNDLE_HEAD = b"#bundle\0" + (1).to_bytes(8, "big")


@functools.cache
def padded(text: str) -> bytes:
    """A string as OSC has it: ended by a zero, filled up to four bytes."""
    data = text.encode()
    return data + b"\0" * (4 - len(data) % 4)


@functools.cache
def layout(address: str, kinds: tuple[type, ...]) -> tuple[bytes, struct.Struct, int, int]:
    """How a message of such arguments is laid out: its beginning, its numbers, and which arguments these are."""
    letters = "".join(KINDS[kind] for kind in kinds)
    start = len(letters) - len(letters.lstrip("s"))
    end = max(start, len(letters.rstrip("s")))
    return padded(address) + padded(f",{letters}"), struct.Struct(f">{letters[start:end]}"), start, end


def encode(address: str, arguments: Sequence[Argument]) -> bytes:
    """A message (OSC 1.0): str as s, int as i, float as f, which strict receivers insist on. Strings are first or last.

    By hand, because a library took longer for a pose's 22 messages than all else that a bridge does.
    """
    head, numbers, start, end = layout(address, tuple(map(type, arguments)))
    strings = [padded(text) for text in (*arguments[:start], *arguments[end:])]  # type: ignore[arg-type]
    return b"".join([head, *strings[:start], numbers.pack(*arguments[start:end]), *strings[start:]])


def encode_bundle(messages: Sequence[Message]) -> bytes:
    """Messages for one moment, now."""
    parts = [encode(*message) for message in messages]
    return BUNDLE_HEAD + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Bundle:
    """A bundle whose numbers alone change, laid out once: the bytes of all floats in it are replaced at one go."""

    def __init__(self, messages: Sequence[Message]):
        """messages: with any floats, and no other numbers than have to stay."""
        self.data = np.frombuffer(bytearray(encode_bundle(messages)), np.uint8)
        places: list[int] = []
        at = len(BUNDLE_HEAD)
        for address, arguments in messages:
            at += 4  # the message's length
            beginning, _, start, end = layout(address, tuple(map(type, arguments)))
            number = at + len(beginning) + sum(len(padded(str(text))) for text in arguments[:start])
            places += [number + 4 * n for n, argument in enumerate(arguments[start:end]) if isinstance(argument, float)]
            at += len(encode(address, arguments))
        self.floats = (np.array(places, int)[:, None] + np.arange(4)).ravel()

    def filled(self, floats: np.ndarray) -> bytes:
        """The datagram with these floats [n], in the messages' order."""
        self.data[self.floats] = floats.astype(">f4").view(np.uint8)
        return self.data.tobytes()
