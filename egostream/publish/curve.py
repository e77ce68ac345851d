"""CURVE keys: encryption and authentication of ZeroMQ sockets (RFC 26/CurveZMQ)."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

from egostream.errors import EgostreamError, first_line

#: Bytes of a certificate; ours have 400.
LARGEST_FILE = 1 << 16


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``name.key`` (public) and ``name.key_secret`` and return their paths. Refuses to overwrite."""
    folder = Path(folder)
    for path in (folder / f"{name}.key", folder / f"{name}.key_secret"):
        if path.exists():
            raise EgostreamError(
                f"{path} exists; a new key would lock its clients out. Choose another --name, or delete it first"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mask = os.umask(0o077)  # a secret that was ever readable is none
        try:
            public, secret = zmq.auth.create_certificates(folder, name)
        finally:
            os.umask(mask)
        Path(public).chmod(0o644)
    except OSError as error:
        raise EgostreamError(f"cannot write keys to {folder}: {error.strerror}") from None
    return Path(public), Path(secret)


def load_key(path: str | Path, need_secret: bool) -> tuple[bytes, bytes | None]:
    """(public, secret) of a certificate file.

    Raises EgostreamError when it is unreadable or malformed, or its halves are of two pairs. need_secret: also when it
    lacks the secret, or others may read it.
    """
    try:
        if os.path.exists(path) and (not os.path.isfile(path) or os.path.getsize(path) > LARGEST_FILE):
            raise ValueError("it is no file of keys")
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError, IndexError) as error:
        raise EgostreamError(
            f"{path} is not a CURVE certificate: {first_line(error)}. Make one: egostream keys --help"
        ) from None
    for key in (public, secret):
        if key is not None and not is_key(key):
            raise EgostreamError(
                f"{path} holds a malformed key: CURVE keys have 40 characters of Z85. "
                "Make a new pair: egostream keys --help"
            )
    if secret is not None and zmq.curve_public(secret) != public:
        raise EgostreamError(
            f"{path} holds the public key of one pair and the secret key of another. "
            "Copy the file again, or make a new pair: egostream keys --help"
        )
    if need_secret:
        check_secret(Path(path), secret)
    return public, secret


def check_secret(path: Path, secret: bytes | None) -> None:
    """Raise EgostreamError where a certificate lacks its secret key, or others may read it."""
    if secret is None:
        raise EgostreamError(f"{path} has no secret key; give the file that ends in .key_secret")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise EgostreamError(f"{path} can be read by other users, so that it is no secret: chmod 600 {path}")


def is_key(key: bytes) -> bool:
    """Whether these bytes are a CURVE key as Z85 has it (rfc.zeromq.org/spec/32)."""
    try:
        return len(key) == 40 and len(z85.decode(key)) == 32
    except (KeyError, ValueError, struct.error):
        return False


def public_keys(folder: Path) -> set[bytes]:
    """The public keys of the certificates in a folder. Raises EgostreamError for a file ``*.key`` that is none."""
    return {load_key(path, need_secret=False)[0] for path in Path(folder).glob("*.key")}


def check_curve() -> None:
    """Raise EgostreamError where ZeroMQ cannot encrypt."""
    if not zmq.has("curve"):
        raise EgostreamError(
            "this pyzmq was built without CURVE. Install the wheel: pip install --force-reinstall pyzmq"
        )


def serve(socket: zmq.Socket, secret_path: str) -> None:
    """Make a socket a CURVE server. Call before ``bind``."""
    check_curve()
    socket.curve_publickey, socket.curve_secretkey = load_key(secret_path, need_secret=True)
    socket.curve_server = True


def join(socket: zmq.Socket, server_key: str, client_key: str = "") -> None:
    """Make a socket a CURVE client of a server's public key, under its own key or a throw-away one."""
    check_curve()
    socket.curve_serverkey = load_key(server_key, need_secret=False)[0]
    socket.curve_publickey, socket.curve_secretkey = (
        load_key(client_key, need_secret=True) if client_key else zmq.curve_keypair()
    )
