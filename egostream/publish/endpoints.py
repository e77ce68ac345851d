"""What an endpoint may be, who can reach it, and binding it."""

from __future__ import annotations

import ipaddress
import os
import re
import socket as socket_module
import stat
from pathlib import Path

import zmq

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish import curve

#: Bytes that the path of a Unix socket may have, on Linux; the others have four less.
LONGEST_IPC = 107


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
    if not re.fullmatch(r"(tcp://.+:([0-9]{1,5}|\*)|ipc://.+)", endpoint):
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
        if not curve.public_keys(Path(config.client_keys)):  # one that is none would lock out all clients, silently
            raise EgostreamError(
                f"--client-keys {config.client_keys} holds no public certificate (*.key), so nobody could connect. "
                "Make one: egostream keys --help"
            )


def bind(socket: zmq.Socket, endpoint: str, what: str, is_private: bool = False) -> None:
    """Bind a socket. is_private: nobody but this user may connect to an ``ipc://`` endpoint.

    Raises EgostreamError that names the flag, ``--what``, which chooses another endpoint.
    """
    path = ipc_path(endpoint)
    if path is not None:
        check_socket_file(path, what, is_private)
    use_ipv6(socket, endpoint)
    mask = os.umask(0o177) if path is not None and is_private else None  # from its first moment on
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise unbound(endpoint, what, error.errno == zmq.EADDRINUSE, str(error)) from None
    finally:
        if mask is not None:
            os.umask(mask)


def unbound(endpoint: str, what: str, is_taken: bool, reason: str) -> EgostreamError:
    """The error of an endpoint that cannot be bound. is_taken: by another program."""
    why = "is taken by another program (another egostream run?)" if is_taken else f"cannot be bound: {reason}"
    return EgostreamError(f"{what} endpoint {endpoint} {why}. Choose another: --{what} tcp://127.0.0.1:PORT")


def use_ipv6(socket: zmq.Socket, endpoint: str) -> None:
    """Let a socket take the IPv6 address of an endpoint that has one."""
    if endpoint.startswith("tcp://["):
        socket.ipv6 = True


def ipc_path(endpoint: str) -> Path | None:
    """The file of an ``ipc://`` endpoint; None for any other, and for Linux's abstract names, which have none."""
    path = endpoint.removeprefix("ipc://")
    return Path(path) if path != endpoint and not path.startswith("@") else None


def check_socket_file(path: Path, what: str, is_private: bool) -> None:
    """Make a socket's folder, and refuse a file that binding there would delete: ZeroMQ asks nobody.

    What a killed run left behind is no obstacle. is_private: the folder must not be another user's, who could put a
    socket of his own there. Raises EgostreamError.
    """
    other = f"Choose another: --{what} ipc://PATH"
    if len(os.fsencode(path)) > LONGEST_IPC:
        raise EgostreamError(
            f"{what} endpoint ipc://{path} is longer than the {LONGEST_IPC} bytes it may have. {other}"
        )
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True)
        owner = path.parent.stat().st_uid
        if is_private and owner not in (0, os.getuid()):
            raise EgostreamError(f"{what} endpoint ipc://{path} lies in a folder of another user's. {other}")
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise EgostreamError(f"{what} endpoint ipc://{path} cannot be used: {error.strerror}. {other}") from None
    if not stat.S_ISSOCK(mode):
        raise EgostreamError(f"{what} endpoint ipc://{path} is the path of a file, which is left as it is. {other}")
    if is_listened_to(path):
        raise EgostreamError(
            f"{what} endpoint ipc://{path} is taken by another program (another egostream run?). {other}"
        )


def is_listened_to(path: Path) -> bool:
    """Whether a program accepts connections at a Unix socket."""
    with socket_module.socket(socket_module.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # it is there, and busy
    return True
