"""WebSocket: poses for browsers, and whatever else speaks it, as JSON or msgpack.

ws://HOST:PORT/?format=json|msgpack&axes=openxr|unity|gltf|camera&pull=1&token=...: a client's URL says what it wants.
After each pose goes a ping, and the next pose waits for its pong, so that no buffer fills with old poses. With ``pull``
it also waits until the client has sent something. Who reads slowly misses poses, and delays nobody.
docs/bridges.md names the keys.
"""

from __future__ import annotations

import hmac
import http
import ipaddress
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np

from egostream.body.axes import CAMERA, GLTF, OPENXR, UNITY
from egostream.body.bones import BONES
from egostream.bridge.extras import needed
from egostream.bridge.osc import parse_target
from egostream.bridge.scene import Scene
from egostream.errors import EgostreamError

PORT = 5581
AXES = {axes.name: axes for axes in (OPENXR, UNITY, GLTF, CAMERA)}
ENCODERS: dict[str, Callable[[Any], bytes]] = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}
#: Pages of this machine. Any other page that a browser shows has to be named: it could read poses otherwise.
LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
MOST_CLIENTS = 32  # each has a thread
LARGEST_REQUEST = 1024  # bytes of a message from a client: none is expected
DIGITS = 5  # of positions in metres and of rotations
TOKEN_BYTES = 16


@dataclass(frozen=True)
class WebsocketOptions:
    """Where to listen, and to whom."""

    to: str = f"127.0.0.1:{PORT}"
    origins: tuple[str, ...] = ()  # of pages that may connect, beside this machine's own
    token: str = ""  # that clients have to give; "": none on loopback, else one that is made up
    is_insecure: bool = False  # listen beyond this machine: poses and token go unencrypted


@dataclass(frozen=True)
class Wish:
    """What a client's URL asks for."""

    format: str
    axes: str
    is_pulled: bool  # a pose for each message of the client


@dataclass
class Newest:
    """The newest scene, its number, and all who wait for the next."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    scene: Scene | None = None
    number: int = 0
    is_closed: bool = False
    packed: dict[Wish, tuple[int, bytes]] = field(default_factory=dict)

    def put(self, scene: Scene) -> None:
        """Replace the scene."""
        with self.changed:
            self.scene, self.number = scene, self.number + 1
            self.changed.notify_all()

    def close(self) -> None:
        """Let go of all who wait."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def after(self, number: int, wish: Wish) -> tuple[int, bytes] | None:
        """Wait for a scene newer than ``number``: its own number, and its message. None at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.number > number or self.is_closed)
            if self.is_closed or self.scene is None:
                return None
            if self.packed.get(wish, (0, b""))[0] != self.number:  # once for all clients of one wish
                self.packed[wish] = self.number, ENCODERS[wish.format](scene_message(self.scene, wish.axes))
            return self.packed[wish]


class WebsocketReceiver:
    """A server that clients connect to. Raises EgostreamError where it cannot listen."""

    wants_every = False

    def __init__(self, options: WebsocketOptions):
        server = needed("websockets.sync.server", "websockets")
        self.closed = needed("websockets.exceptions", "websockets").ConnectionClosed
        host, port = parse_target(options.to, PORT)
        if not (options.is_insecure or is_loopback(host)):
            raise EgostreamError(
                f"--to {options.to} can be reached from outside, and WebSocket is not encrypted: listen on 127.0.0.1 "
                "behind a server with TLS, or say --insecure"
            )
        self.options, self.client_count, self.counting = options, 0, threading.Lock()
        self.token = options.token or ("" if is_loopback(host) else secrets.token_urlsafe(TOKEN_BYTES))
        self.newest = Newest()
        try:
            self.server = server.serve(
                self.serve, host, port, process_request=self.admit, max_size=LARGEST_REQUEST, compression=None
            )
        except OSError as error:
            raise EgostreamError(
                f"--to {options.to}: cannot listen there: {error.strerror or error}. Try --to 127.0.0.1:PORT"
            ) from None
        self.host, self.port = host, self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def name(self) -> str:
        """The address that clients give."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"WebSocket ws://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def admit(self, connection: Any, request: Any) -> Any:
        """Refuse pages of other sites, and who lacks the token: None lets a client in."""
        origin = request.headers.get("Origin", "")
        if origin and not LOCAL_ORIGIN.fullmatch(origin) and origin not in self.options.origins:
            return connection.respond(http.HTTPStatus.FORBIDDEN, f"start the bridge with --origin {origin}\n")
        try:
            parse_wish(request.path)
            given = query_of(request.path).get("token", [""])[0]
        except EgostreamError as error:
            return connection.respond(http.HTTPStatus.BAD_REQUEST, f"{error}\n")
        if self.token and not hmac.compare_digest(given.encode(), self.token.encode()):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "the bridge's first line names the token\n")
        if self.client_count >= MOST_CLIENTS:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_CLIENTS} clients are served\n")
        return None

    def serve(self, connection: Any) -> None:
        """One client, in a thread of its own: the newest pose, as often as it takes one."""
        wish, number = parse_wish(connection.request.path), 0
        self.count(1)
        try:
            while True:
                if wish.is_pulled:
                    connection.recv()
                if (found := self.newest.after(number, wish)) is None:
                    return
                number, data = found
                connection.send(data, text=wish.format == "json")
                connection.ping(ack_on_close=True).wait()
        except self.closed:
            pass
        finally:
            self.count(-1)

    def count(self, step: int) -> None:
        """A client came (1) or went (-1)."""
        with self.counting:
            self.client_count += step

    def room(self, scene: Scene) -> str:
        """The room that the message tells, or a guess."""
        return scene.room

    def send(self, scene: Scene) -> None:
        """Offer a frame to all clients."""
        self.newest.put(scene)

    def close(self) -> None:
        """Stop listening, and let go of the clients."""
        self.newest.close()
        self.server.shutdown()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def query_of(path: str) -> dict[str, list[str]]:
    """The values of a URL's query by key. Raises EgostreamError where it is no URL."""
    try:
        return parse_qs(urlsplit(path).query)
    except ValueError:
        raise EgostreamError(f"no URL: {path}") from None


def parse_wish(path: str) -> Wish:
    """What a URL's query asks for. Raises EgostreamError."""
    query = query_of(path)
    wish = Wish(query.get("format", ["json"])[0], query.get("axes", [OPENXR.name])[0], "pull" in query)
    for key, value, known in (("format", wish.format, ENCODERS), ("axes", wish.axes, AXES)):
        if value not in known:
            raise EgostreamError(f"{key}={value} is unknown; choose one of {', '.join(known)}")
    return wish


def scene_message(scene: Scene, axes_name: str) -> dict[str, Any]:
    """A scene as clients get it. ``camera`` axes are the camera's own, without a room."""
    axes = AXES[axes_name]
    is_room = axes is not CAMERA
    pose = scene.placed.pose if is_room else scene.pose
    joints = scene.placed.joints if is_room else scene.tracked.joints
    return {
        "v": 1,
        "stream": scene.tracked.stream,
        "seq": scene.tracked.seq,
        "t_capture_ns": scene.tracked.t_capture_ns,
        "clock_offset_ns": scene.tracked.clock_offset_ns,
        "axes": axes.name,
        "world": scene.world if is_room else "camera",
        "joints": rounded(axes.points(joints)),
        "confidence": rounded(scene.tracked.confidence),
        "hips": rounded(axes.points(pose.hips)),
        "rotations": dict(zip(BONES, rounded(axes.rotations(pose.local)))),
        "offsets": dict(zip(BONES, rounded(axes.points(scene.body.offsets)))),
    }


def rounded(values: np.ndarray) -> list[Any]:
    """An array as lists of short numbers."""
    return np.round(values, DIGITS).tolist()
