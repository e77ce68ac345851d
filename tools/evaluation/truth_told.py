"""What a headset would have told of a rendered recording's camera: its true place and turning."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from egostream.told import NOTHING, Told, velocity_and_rate
from tools.data.sequence import Sequence

#: What can be told: gravity, as an IMU has it; motion and height, as a headset that knows its floor has them.
HEADSET_PARTS = ("gravity", "motion", "height")
MOST_STEPS = 1.5  # frames further apart than so many steps tell no motion


class TimedFrames(Protocol):
    """A recording and its frames' times."""

    sequence: Sequence
    times_ns: np.ndarray  # int64 [F]


class TellsTruth:
    """The ``Teller`` of rendered recordings, one after another. parts: of ``HEADSET_PARTS``."""

    def __init__(self, parts: frozenset[str]):
        self.parts = parts
        self.times_ns = np.zeros(0, np.int64)

    def begin(self, frames: TimedFrames) -> None:
        """Tell of another recording from now on. One whose cameras are unknown tells nothing."""
        cameras = frames.sequence.world_to_camera
        self.times_ns = np.zeros(0, np.int64) if cameras is None else frames.times_ns
        if cameras is not None:
            self.turn = cameras[:, :3, :3].astype(float)  # world -> camera
            self.at = -(np.swapaxes(self.turn, 1, 2) @ cameras[:, :3, 3:])[..., 0]

    def tells(self, t_ns: int, step_ns: int) -> Told:
        """What is known of the frame at ``t_ns``."""
        found = np.flatnonzero(self.times_ns == t_ns)
        if not len(found):
            return NOTHING
        k = int(found[0])
        told: dict = {}
        if "gravity" in self.parts:
            told["gravity"] = as_vector(-self.turn[k, :, 1])
        if "height" in self.parts:
            told["height"] = float(self.at[k, 1])
        if "motion" in self.parts:
            told |= self.motion(k, step_ns)
        return Told(**told)

    def motion(self, k: int, step_ns: int) -> dict:
        """Velocity and rate of frame ``k`` since the one nearest to a step before; nothing after a gap."""
        before = int(np.abs(self.times_ns - (self.times_ns[k] - step_ns)).argmin())
        seconds = (self.times_ns[k] - self.times_ns[before]) / 1e9
        if before == k or seconds > MOST_STEPS * step_ns / 1e9:
            return {}
        velocity, rate = velocity_and_rate(self.turn[before], self.at[before], self.turn[k], self.at[k], seconds)
        return {"velocity": as_vector(velocity), "rate": as_vector(rate)}


def as_vector(values: np.ndarray) -> tuple[float, ...]:
    """Numbers as messages have them."""
    return tuple(values.tolist())
