"""OSC over UDP: messages and bundles out, to a host that may be absent, slow or started again."""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections.abc import Sequence
from types import ModuleType

from egostream.errors import EgostreamError

#: Datagrams stay below what an Ethernet frame holds: larger ones come in parts, and with one part all is lost.
LARGEST_DATAGRAM = 1472
Argument = str | int | float
Message = tuple[str, Sequence[Argument]]


def parse_target(text: str, port: int) -> tuple[str, int]:
    """HOST:PORT, HOST, :PORT or [IPv6]:PORT as (host, port). Raises EgostreamError."""
    host, colon, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon or (":" in host and not host.startswith("[")):  # no port, or an IPv6 address without one
        host, number = text, str(port)
    host = host.strip("[]") or "127.0.0.1"
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise EgostreamError(f"--to {text}: {number!r} is no port. Give HOST:PORT, such as 127.0.0.1:{port}")
    return host, int(number)


def needed(module: str, package: str) -> ModuleType:
    """A library that only bridges need. Raises EgostreamError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        raise EgostreamError(
            f"this bridge needs {package}, which cannot be loaded ({error}): pip install 'egostream[bridge]'"
        ) from None


class OscSender:
    """Sends to one host, and never waits: what the system does not take at once is lost."""

    def __init__(self, to: str, port: int):
        """to: HOST:PORT. Raises EgostreamError where the host has no address, or python-osc is missing."""
        self.builder = needed("pythonosc.osc_message_builder", "python-osc")
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

    def message(self, address: str, arguments: Sequence[Argument]) -> bytes:
        """A message: str as s, int as i, float as f, which strict receivers insist on."""
        builder = self.builder.OscMessageBuilder(address=address)
        for argument in arguments:
            kind = "s" if isinstance(argument, str) else "i" if isinstance(argument, int) else "f"
            builder.add_arg(argument if kind != "f" else float(argument), kind)
        return builder.build().dgram

    def bundle(self, messages: Sequence[Message]) -> bytes:
        """Messages for one moment, now."""
        parts = [self.message(*message) for message in messages]
        return BUNDLE_HEAD + b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def send(self, messages: Sequence[Message], is_bundled: bool = True) -> None:
        """Send messages, as one datagram or each alone. Absent receivers and full buffers are no errors."""
        datagrams = [self.bundle(messages)] if is_bundled else [self.message(*message) for message in messages]
        for datagram in datagrams:
            with contextlib.suppress(OSError):  # refused, unreachable, or would block
                self.socket.sendto(datagram, self.address)

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()


#: A bundle to be taken at once: the name, and the timetag 1.
BUNDLE_HEAD = b"#bundle\0" + (1).to_bytes(8, "big")
