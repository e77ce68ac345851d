"""CURVE keys: encryption and authentication of ZeroMQ sockets (RFC 26/CurveZMQ)."""

from __future__ import annotations

from pathlib import Path

import zmq
import zmq.auth

from egostream.errors import EgostreamError


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
        public, secret = zmq.auth.create_certificates(folder, name)
        Path(secret).chmod(0o600)
    except OSError as error:
        raise EgostreamError(f"cannot write keys to {folder}: {error.strerror}") from None
    return Path(public), Path(secret)


def load_key(path: str | Path, need_secret: bool) -> tuple[bytes, bytes | None]:
    """(public, secret) of a certificate file. Raises EgostreamError when it is unreadable or lacks the secret."""
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise EgostreamError(f"{path} is not a CURVE certificate: {error}. Make one: egostream keys --help") from None
    if len(public) != 40 or (secret is not None and len(secret) != 40):
        raise EgostreamError(
            f"{path} holds a malformed key: CURVE keys have 40 characters. Make a new pair: egostream keys --help"
        )
    if need_secret and secret is None:
        raise EgostreamError(f"{path} has no secret key; give the file that ends in .key_secret")
    return public, secret


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
