"""A receiver of VMC, as programs with avatars are: OSC over UDP, read by python-osc, kept as the newest of each bone.

It shares nothing with the sender. Its rules are those of protocol.vmc.info (marionette) and of EVMC4U: every message
counts as it comes, bundled or not; what is unknown, of other types, or not finite is left alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from egostream.errors import EgostreamError

PORT = 39539
BONE, ROOT, STATE = "/VMC/Ext/Bone/Pos", "/VMC/Ext/Root/Pos", "/VMC/Ext/OK"
#: A name, a position x, y, z in metres, and a rotation x, y, z, w, in Unity's axes, relative to the parent's node.
VALUES = 7
FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
SIDED = ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes", "Eye")
#: The bones of Unity's HumanBodyBones. Strangers may send anything else, of which nothing is kept.
HUMANOID_BONES = frozenset(
    ["Hips", "Spine", "Chest", "UpperChest", "Neck", "Head", "Jaw"]
    + [f"{side}{bone}" for side in ("Left", "Right") for bone in SIDED]
    + [
        f"{side}{finger}{part}"
        for side in ("Left", "Right")
        for finger in FINGERS
        for part in ("Proximal", "Intermediate", "Distal")
    ]
)
CALIBRATED = 3


class VmcReceiver(asyncio.DatagramProtocol):
    """What has arrived: the newest local position and rotation of each bone. Used in an event loop."""

    def __init__(self) -> None:
        from pythonosc.osc_packet import OscPacket, ParseError

        self.parse, self.error = OscPacket, ParseError
        self.bones: dict[str, list[float]] = {}
        self.root: list[float] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
        self.is_calibrated = True  # until somebody says otherwise
        self.count = 0  # of datagrams that moved something
        self.unreadable = 0
        self.changed = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take a datagram: a message, or a bundle of them."""
        try:
            messages = [timed.message for timed in self.parse(data).messages]
        except (self.error, ValueError, IndexError, OverflowError):
            self.unreadable += 1
            return
        if any([self.take(message.address, list(message)) for message in messages]):
            self.count += 1
            self.changed.set()
            self.changed = asyncio.Event()

    def take(self, address: str, values: Sequence[object]) -> bool:
        """Take a message. Returns whether it moves something."""
        if address == STATE:
            self.is_calibrated = len(values) < 2 or values[1] == CALIBRATED
            return False
        place = placed(values)
        if address == ROOT and place is not None:
            self.root = place
            return True
        name = values[0] if values else None
        if address != BONE or place is None or not isinstance(name, str) or name not in HUMANOID_BONES:
            return False
        self.bones[name] = place
        return True

    async def newer(self, count: int) -> dict[str, Any]:
        """All that was received, once there is more than ``count`` datagrams."""
        while self.count <= count:
            await self.changed.wait()
        return {"count": self.count, "root": self.root, "bones": self.bones, "is_calibrated": self.is_calibrated}


def placed(values: Sequence[object]) -> list[float] | None:
    """The seven numbers after a name; None where they are not such. Older senders may add more."""
    numbers = values[1 : VALUES + 1]
    if len(numbers) < VALUES or not all(isinstance(value, float) and math.isfinite(value) for value in numbers):
        return None
    return [float(value) for value in numbers if isinstance(value, float)]


async def listen(host: str, port: int) -> tuple[asyncio.DatagramTransport, VmcReceiver]:
    """Receive on a UDP port; 0: a free one. Raises EgostreamError where it cannot be had."""
    try:
        receiver = VmcReceiver()
    except ModuleNotFoundError:
        raise EgostreamError("python-osc is missing, which reads VMC. Install it: pip install -e '.[avatar]'") from None
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: receiver, local_addr=(host, port))
    except OSError as error:
        raise EgostreamError(
            f"port {port} of {host} cannot be had ({error.strerror or error}). Is another VMC receiver running? "
            "Choose another: --vmc-port"
        ) from None
    return transport, receiver
