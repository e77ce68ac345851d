"""What a headset, or a person, tells of a frame beside its picture, as the network without a backbone takes it.

Each part is useful alone. What is not known is 0, and its flag says so. Axes are the camera's (x right, y down, z
forward) at that frame, metres and seconds.
"""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

#: Where each part stands in the network's input.
TOLD_PARTS = {
    "gravity": slice(0, 3),  # unit vector, where down is
    "velocity": slice(3, 6),  # of the camera since the slot before, m/s
    "rate": slice(6, 9),  # its turning since then, rad/s
    "height": slice(9, 10),  # of the camera over the floor, metres
    "stature": slice(10, 11),  # the wearer's, metres
    "flags": slice(11, 15),  # 1 where known: gravity, velocity with rate, height, stature
}
TOLD = 15
#: Which flag (0 to 3) each value hangs on.
TOLD_FLAG = (0,) * 3 + (1,) * 6 + (2, 3) + (0, 1, 2, 3)

Vector = tuple[float, float, float]


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one frame. It travels in messages, so that a recording can be computed again."""

    gravity: Vector | UnsetType = UNSET
    velocity: Vector | UnsetType = UNSET
    rate: Vector | UnsetType = UNSET  # where ``velocity`` is
    height: float | UnsetType = UNSET
    stature: float | UnsetType = UNSET

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return self.gravity is UNSET and self.velocity is UNSET and self.height is UNSET and self.stature is UNSET

    def vector(self) -> np.ndarray:
        """The network's input, float32 [TOLD]."""
        row = np.zeros(TOLD, np.float32)
        known = (self.gravity, self.velocity, self.height, self.stature)
        row[TOLD_PARTS["flags"]] = [value is not UNSET for value in known]
        for name in VALUES:
            value = getattr(self, name)
            if value is not UNSET:
                row[TOLD_PARTS[name]] = value
        return row


NOTHING = Told()
#: The parts of ``Told``.
VALUES = ("gravity", "velocity", "rate", "height", "stature")


def velocity_and_rate(
    turn_before: np.ndarray, at_before: np.ndarray, turn: np.ndarray, at: np.ndarray, seconds: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """How a camera moved between two moments, in its axes at the second: m/s [..., 3] and rad/s [..., 3].

    turn: world -> camera [..., 3, 3]; at: places in the world [..., 3]; seconds between, [..., 1] or a number. The rate
    is the sine of the turn for its angle: half a percent less at 0.17 rad.
    """
    velocity = (turn * (at - at_before)[..., None, :]).sum(-1) / seconds
    step = turn_before @ np.swapaxes(turn, -1, -2)  # camera now -> camera before; its skew part is the turn's vector
    x, y, z = step[..., 2, 1] - step[..., 1, 2], step[..., 0, 2] - step[..., 2, 0], step[..., 1, 0] - step[..., 0, 1]
    return velocity, np.stack([x, y, z], -1) / (2 * seconds)
