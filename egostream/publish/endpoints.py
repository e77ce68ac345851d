"""What an endpoint may be, who can reach it, and binding it."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import zmq

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish import curve


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


def local_endpoint(endpoint: str) -> str:
    """Where clients on this machine reach what is bound to an endpoint, which may be on all interfaces."""
    return re.sub(r"//(\*|0\.0\.0\.0|\[::\]):", "//127.0.0.1:", endpoint)


def check_endpoint(name: str, endpoint: str, config: RunConfig) -> None:
    """Refuse an endpoint that ZeroMQ cannot bind, or that strangers could reach in the clear. Raises EgostreamError."""
    if not re.fullmatch(r"(tcp://.+:(\d+|\*)|ipc://.+)", endpoint):
        raise EgostreamError(f"{name} endpoint {endpoint!r} is not of the form tcp://ADDRESS:PORT or ipc://PATH")
    port = endpoint.rpartition(":")[2]
    if endpoint.startswith("tcp://") and not (port.isdigit() and 0 < int(port) < 65536):
        raise EgostreamError(
            f"{name} endpoint {endpoint}: port {port} is not one that clients could know; 1 to 65535 is possible"
        )
    if is_loopback(endpoint) or config.server_key or config.insecure:
        return
    if name == "control":
        raise EgostreamError(
            f"the control endpoint {endpoint} can be reached from outside; "
            "it must be on loopback (tcp://127.0.0.1:PORT)"
        )
    raise EgostreamError(
        f"{name} endpoint {endpoint} can be reached from outside: encrypt it "
        "(egostream keys -o keys, then --server-key keys/server.key_secret), or say --insecure"
    )


def check_keys(config: RunConfig) -> None:
    """Refuse CURVE settings that could not work, before anything starts. Raises EgostreamError."""
    if config.server_key:
        curve.load_key(config.server_key, need_secret=True)
    if config.client_keys:
        if not config.server_key:
            raise EgostreamError("--client-keys needs --server-key: without encryption clients prove nothing")
        certificates = list(Path(config.client_keys).glob("*.key"))
        for path in certificates:  # one that cannot be read would lock out all clients, silently
            curve.load_key(path, need_secret=False)
        if not certificates:
            raise EgostreamError(
                f"--client-keys {config.client_keys} holds no public certificate (*.key), so nobody could connect. "
                "Make one: egostream keys --help"
            )


def bind(socket: zmq.Socket, endpoint: str, what: str) -> None:
    """Bind a socket. Raises EgostreamError that names the flag, ``--what``, which chooses another endpoint."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        reason = (
            "is taken by another program (another egostream run?)"
            if error.errno == zmq.EADDRINUSE
            else f"cannot be bound: {error}"
        )
        raise EgostreamError(
            f"{what} endpoint {endpoint} {reason}. Choose another: --{what} tcp://127.0.0.1:PORT"
        ) from None
