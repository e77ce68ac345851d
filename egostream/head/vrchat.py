"""The headset's pose from VRChat, which sends it to whoever asks by OSCQuery.

A service of the type ``_oscjson._tcp`` is advertised by zeroconf. Its HTTP server describes one OSC address. VRChat
finds it, and then sends that address over UDP: x, y, z in metres and Euler angles in degrees, in Unity's axes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import numpy as np

from egostream.errors import EgostreamError
from egostream.head.rotations import quaternion
from egostream.head.sender import HeadPose, HeadSender

if TYPE_CHECKING:
    from pythonosc.osc_packet import OscPacket

ADDRESS = "/tracking/vrsystem/head/pose"
SPACE = "vrchat"
NAME = "egostream"
#: How OSC's bundles begin, and how many a datagram may have: the library goes into each that lies in another.
BUNDLE, MOST_BUNDLES = b"#bundle\0", 50
BUNDLE_HEADER = 16  # bytes before a bundle's first element: its name and its time
#: Unity's axes (z forward) -> OpenXR's (z backward).
MIRRORED = np.diag([1.0, 1.0, -1.0])


def described(address: str = ADDRESS) -> dict[str, Any]:
    """The OSCQuery description of a tree that has one address, which takes six numbers."""
    node: dict[str, Any] = {"FULL_PATH": address, "ACCESS": 2, "TYPE": "ffffff", "DESCRIPTION": "headset pose"}
    parts = address.strip("/").split("/")
    for depth in range(len(parts) - 1, -1, -1):
        node = {"FULL_PATH": "/" + "/".join(parts[:depth]), "ACCESS": 0, "CONTENTS": {parts[depth]: node}}
    return node


def found(tree: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The description of an address inside a tree, or None."""
    for part in path.strip("/").split("/"):
        if part:
            tree = tree.get("CONTENTS", {}).get(part)
            if tree is None:
                return None
    return tree


def unity_pose(values: tuple[float, ...]) -> HeadPose:
    """The pose of Unity's x, y, z in metres and Euler angles in degrees: R = Ry Rx Rz, mirrored into OpenXR's axes."""
    x, y, z, *degrees = values
    pitch, yaw, roll = np.radians(degrees)
    (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation = MIRRORED @ about_y @ about_x @ about_z @ MIRRORED
    return HeadPose((x, y, -z), quaternion(rotation), space=SPACE)


def values_of(data: bytes) -> list[tuple[float, ...]]:
    """The head poses in an OSC datagram: six finite numbers each. What is none is left out."""
    if len(data) % 4 or data.count(BUNDLE) > MOST_BUNDLES:  # OSC's lengths are multiples of 4: it was cut off
        return []
    if not has_whole_elements(data):
        return []
    try:
        messages = [timed.message for timed in osc_packet(data).messages]
    except Exception:  # whatever the library raises for what strangers send
        return []
    heads = [tuple(message.params) for message in messages if message.address == ADDRESS]
    is_number = lambda value: isinstance(value, float | int) and not isinstance(value, bool) and np.isfinite(value)
    return [head for head in heads if len(head) == 6 and all(map(is_number, head))]


def has_whole_elements(data: bytes) -> bool:
    """Whether the elements of a bundle lie within it, those of bundles inside, too.

    An element is a size and so many bytes (OSC 1.0). The library goes back by a negative size, and reads the same
    element for ever.
    """
    place = BUNDLE_HEADER if data.startswith(BUNDLE) else len(data)
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big", signed=True)
        element = data[place + 4 : place + 4 + max(size, 0)]
        if size < 0 or size % 4 or len(element) < size or not has_whole_elements(element):
            return False
        place += 4 + size
    return True


def osc_packet(data: bytes) -> OscPacket:
    """A datagram, taken apart. Raises what the library raises.

    The library says by Python's root logger what is odd, which would let strangers write on the terminal.
    """
    from pythonosc.osc_packet import OscPacket

    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    return OscPacket(data)


class HeadService:
    """The service that VRChat finds: zeroconf, HTTP and UDP on one address of this machine.

    host: an address that VRChat's machine reaches. Raises EgostreamError where it cannot be had.
    """

    def __init__(self, host: str = "127.0.0.1"):
        try:
            from zeroconf import ServiceInfo, Zeroconf
        except ImportError:
            raise EgostreamError("the package zeroconf is missing: pip install 'egostream[vrchat]'") from None
        try:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((host, 0))
            self.http = ThreadingHTTPServer((host, 0), handler(host, self.udp.getsockname()[1]))
        except OSError as error:
            raise EgostreamError(
                f"cannot listen on {host}: {error.strerror or error}. Give an address of this machine: --host"
            ) from None
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.zeroconf = Zeroconf(interfaces=[host])
        for kind, port in (("_oscjson._tcp.local.", self.http.server_port), ("_osc._udp.local.", self.port)):
            name = f"{NAME}-{self.port}"  # two of them on one machine do not meet
            self.zeroconf.register_service(
                ServiceInfo(kind, f"{name}.{kind}", port, parsed_addresses=[host], server=f"{name}.local.")
            )

    @property
    def port(self) -> int:
        """Where it hears OSC."""
        return self.udp.getsockname()[1]

    def receive(self, timeout_s: float) -> list[tuple[float, ...]]:
        """The head poses of the next datagram; none after the timeout, and of any other datagram."""
        self.udp.settimeout(timeout_s)
        try:
            return values_of(self.udp.recv(65536))
        except OSError:
            return []

    def close(self) -> None:
        """Withdraw the service."""
        self.zeroconf.unregister_all_services()
        self.zeroconf.close()
        self.http.shutdown()
        self.http.server_close()
        self.udp.close()


def handler(host: str, osc_port: int) -> type[BaseHTTPRequestHandler]:
    """What answers OSCQuery's requests."""
    tree = described()
    extensions = {"ACCESS": True, "TYPE": True, "DESCRIPTION": True, "VALUE": False, "RANGE": False}
    info = {"NAME": NAME, "OSC_IP": host, "OSC_PORT": osc_port, "OSC_TRANSPORT": "UDP", "EXTENSIONS": extensions}

    class Handler(BaseHTTPRequestHandler):
        """Describes the address, and says where OSC goes."""

        def do_GET(self) -> None:
            """Answer a request of OSCQuery."""
            try:
                asked = urlparse(self.path)
                attributes = list(parse_qs(asked.query, keep_blank_values=True))
            except ValueError:
                return self.answer(400, {})
            answer = info if "HOST_INFO" in attributes else found(tree, asked.path)
            if answer is not None and attributes and "HOST_INFO" not in attributes:
                answer = {key: value for key, value in answer.items() if key in attributes}
            self.answer(200 if answer is not None else 404, answer or {})

        def answer(self, status: int, what: dict[str, Any]) -> None:
            """Send an answer. Who has gone meanwhile gets none."""
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(what).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of requests."""

    return Handler


def follow(service: HeadService, sender: HeadSender, latency_ns: int, say: Callable[[str], None]) -> None:
    """Send every pose on, stamped as it comes, for ever. latency_ns: how old a pose is when it comes."""
    is_coming, told_s = False, time.monotonic()
    while True:
        poses = service.receive(1.0)
        for values in poses:
            sender.send(unity_pose(values), time.monotonic_ns() - latency_ns)
        if poses and not is_coming:
            is_coming = True
            say("VRChat sends head poses")
        elif not poses and time.monotonic() - told_s > 5.0 and not is_coming:
            told_s = float("inf")
            say("waiting for VRChat: enable OSC in its Action Menu (Options, OSC, Enabled)")
