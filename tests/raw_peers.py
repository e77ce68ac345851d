"""Peers that speak just enough ZMTP 3.0 (rfc.zeromq.org/spec/23) over TCP to send what no library would."""

from __future__ import annotations

import socket
import struct

MORE, LONG, COMMAND = 1, 2, 4


def greeting(mechanism: bytes) -> bytes:
    """The 64 bytes with which a peer that is no server begins."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + b"\0" + bytes(31)


def ready(kind: bytes) -> bytes:
    """The READY command of the NULL mechanism, for a socket of that kind."""
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return bytes([COMMAND, len(body)]) + body


def frame_head(flags: int, size: int) -> bytes:
    """What announces a frame of ``size`` bytes."""
    return bytes([flags | LONG]) + struct.pack(">Q", size)


class RawPeer:
    """A TCP connection to an endpoint ``tcp://ADDRESS:PORT``."""

    def __init__(self, endpoint: str):
        address, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self.socket = socket.create_connection((address, int(port)), timeout=5)

    def shake_hands(self, kind: bytes) -> None:
        """Become a peer of that kind, as the NULL mechanism has it."""
        self.socket.sendall(greeting(b"NULL") + ready(kind))

    def send(self, data: bytes, most: int) -> int:
        """Send ``data`` again and again, up to ``most`` bytes. Returns how many went out before we were cut off."""
        sent = 0
        try:
            while sent < most:
                sent += self.socket.send(data)
        except OSError:
            pass
        return sent

    def is_cut_off(self) -> bool:
        """Whether the other side has closed the connection; it has five seconds for that."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
