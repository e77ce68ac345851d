"""A wearer on a floor, where nobody tells the pose of the head.

Down is measured (gravity), or guessed: a body stands on its feet, its weight above them, its torso upright. The rest is
set: the floor lies under the lower foot, the foot that stands does not slide, and the hips look ahead. So a turn of the
whole body is not seen, and a jump does not leave the floor.

Axes are x right, y down, z ahead, metres: the camera's axes and the room's. Vectors are tuples of floats, because for
single ones arrays are slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import asin, atan2, cos, exp, sin

import numpy as np

from egostream.body.bones import FOOT_PITCH, FOOT_REST
from egostream.body.plain import Axes, Vector, cross, in_axes, length, of_axes, unit, without
from egostream.skeleton import JOINTS

#: How the two directions share in down: the torso's, and from the body's weight to the ankles. Over 330 mocap clips
#: their sum is off by 5 degrees in the median, 20 degrees at the 90th percentile (bending, climbing, lying).
TORSO_SHARE, WEIGHT_SHARE = 0.4, 0.6
#: Shares of the body's weight: above the hips, at the hips, at the ankles.
UPPER_WEIGHT, HIPS_WEIGHT, LEGS_WEIGHT = 0.5, 0.25, 0.25
#: A guessed down is smoothed in the hips' axes, which turn less than a head does, s.
DOWN_SMOOTH_S = 0.3
FORGET_S = 0.5  # a longer gap
#: The other foot stands when it is so much lower, metres: less is noise. Over mocap of walks, people get 84% as far as
#: they did (median of 14).
LOWER_M = 0.015
#: How far the heel lies behind the ankle, of the way from the ankle to the toe joint: 5 of 14 cm. A foot shorter than
#: the second points nowhere, metres.
HEEL_SHARE, LEAST_FOOT = 0.35, 1e-6
#: Hips whose line lies steeper than this say nothing of where the wearer faces: the camera does then.
LEAST_ACROSS = 0.2
NECK = JOINTS.index("neck")
HIPS = JOINTS.index("left_hip"), JOINTS.index("right_hip")
ANKLES = JOINTS.index("left_ankle"), JOINTS.index("right_ankle")
TOES = JOINTS.index("left_foot"), JOINTS.index("right_foot")


@dataclass(frozen=True)
class CameraPlace:
    """Where the camera is in a room, and how it is turned."""

    rotation: np.ndarray  # [3, 3] from the camera's axes to the room's
    position: np.ndarray  # [3] metres

    @cached_property
    def turn(self) -> np.ndarray:
        """The rotation as a quaternion [4]."""
        return np.array(of_axes(*self.rotation.T.tolist()))

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] in the camera's axes -> in the room's."""
        return points @ self.rotation.T + self.position


class Ground:
    """Places one stream's joints on a floor, in their order."""

    def __init__(self) -> None:
        self.down: Vector | None = None  # guessed, in the axes of the hips
        self.t_ns = 0
        self.stance = 0  # the foot that stands: left, right
        self.anchor: tuple[float, float] | None = None  # where it stands: x, z; None: not yet
        self.heading, self.floor = 0.0, 0.0  # of the hips, radians from ahead to the right; y under the lower foot

    def place(self, t_ns: int, joints: np.ndarray, gravity: np.ndarray | None = None) -> CameraPlace:
        """Where the camera is. joints [15, 3], gravity [3] (unit, None: guessed): in its axes, captured at ``t_ns``."""
        rotation = self.level(t_ns, joints, gravity)
        return CameraPlace(rotation, self.stand(rotation, joints))

    def level(self, t_ns: int, joints: np.ndarray, gravity: np.ndarray | None = None) -> np.ndarray:
        """How the camera is turned: a rotation [3, 3] into the room's axes. Arguments are as for ``place``."""
        listed = joints.tolist()
        hips_axes = axes_of_hips(listed)
        if gravity is None:
            down = self.guessed_down(t_ns, listed, hips_axes)
        else:
            down = unit(tuple(gravity.tolist()), (0.0, 1.0, 0.0))
            self.down = in_axes(down, *hips_axes)
        self.t_ns = t_ns
        return np.array(level_axes(hips_axes[0], down, self.heading))

    def stand(self, rotation: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """Where the camera is [3], which is turned by ``rotation``, so that joints [15, 3] stand on the floor."""
        return np.array(self.shift((joints @ rotation.T).tolist()))

    def follow(self, t_ns: int, joints_room: np.ndarray) -> None:
        """Note where a headset says that the joints [15, 3] are: what is guessed after it goes on from there."""
        listed = joints_room.tolist()
        soles = heights_of_soles(listed)
        self.stance = 0 if soles[0] >= soles[1] else 1
        self.floor, stands = soles[self.stance], listed[ANKLES[self.stance]]
        self.anchor = stands[0], stands[2]
        self.down, self.t_ns = in_axes((0.0, 1.0, 0.0), *axes_of_hips(listed)), t_ns
        right, _, ahead = difference(listed[HIPS[1]], listed[HIPS[0]])
        self.heading = atan2(-ahead, right)

    def guessed_down(self, t_ns: int, joints: list[list[float]], hips_axes: Axes) -> Vector:
        """Down that the body lets guess, low-passed in the axes of its hips."""
        seen = in_axes(down_of_body(joints), *hips_axes)
        seconds = (t_ns - self.t_ns) / 1e9
        if self.down is None or not 0 <= seconds < FORGET_S:
            self.down = seen
        share = 1 - exp(-seconds / DOWN_SMOOTH_S) if 0 <= seconds < FORGET_S else 1.0
        x, y, z = (a + share * (b - a) for a, b in zip(self.down, seen))
        self.down = unit((x, y, z), seen)
        return from_axes(self.down, hips_axes)

    def shift(self, upright: list[list[float]]) -> Vector:
        """What puts upright joints [15][3] onto the floor, and the foot that stands where it stood."""
        soles, feet = heights_of_soles(upright), [upright[ankle] for ankle in ANKLES]
        other = 1 - self.stance
        if soles[other] - soles[self.stance] > (0.0 if self.anchor is None else LOWER_M):
            step = difference(feet[other], feet[self.stance])
            self.anchor = self.anchor and (self.anchor[0] + step[0], self.anchor[1] + step[2])
            self.stance = other
        stands = feet[self.stance]
        if self.anchor is None:  # the hips begin above the origin
            hips = middle(upright, HIPS)
            self.anchor = stands[0] - hips[0], stands[2] - hips[2]
        return self.anchor[0] - stands[0], self.floor - max(soles), self.anchor[1] - stands[2]


def difference(a: Sequence[float], b: Sequence[float]) -> Vector:
    """a - b."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def middle(joints: list[list[float]], pair: tuple[int, int]) -> Vector:
    """The point midway between two joints."""
    a, b = joints[pair[0]], joints[pair[1]]
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2


def from_axes(a: Vector, axes: Axes) -> Vector:
    """The vector whose parts along three unit axes are given."""
    right, down, ahead = axes
    x, y, z = (a[0] * r + a[1] * d + a[2] * f for r, d, f in zip(right, down, ahead))
    return x, y, z


def axes_of_hips(joints: list[list[float]]) -> Axes:
    """Right, down and ahead of the hips: down along the torso, right along their line."""
    down = unit(difference(middle(joints, HIPS), joints[NECK]), (0.0, 1.0, 0.0))
    right = without(difference(joints[HIPS[1]], joints[HIPS[0]]), down)
    right = unit(right, unit(without((1.0, 0.0, 0.0), down), (0.0, 0.0, 1.0)))
    return right, down, cross(right, down)


def level_axes(right_of_hips: Vector, down: Vector, heading: float) -> Axes:
    """The room's right, down and ahead in the camera's axes, where the hips look ``heading`` to the right of ahead.

    Where the hips lie one above the other, the camera's own right is taken for theirs.
    """
    for candidate in (right_of_hips, (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)):
        right = without(candidate, down)
        if length(right) > LEAST_ACROSS:
            break
    right = unit(right, (1.0, 0.0, 0.0))
    ahead = cross(right, down)
    c, s = cos(heading), sin(heading)  # the hips' right is (c, 0, -s) in the room
    room_right = tuple(c * a + s * b for a, b in zip(right, ahead))
    room_ahead = tuple(c * b - s * a for a, b in zip(right, ahead))
    return room_right, down, room_ahead  # type: ignore[return-value]


def down_of_body(joints: list[list[float]]) -> Vector:
    """The direction of gravity that a standing, sitting or bending body lets guess, a unit vector."""
    neck, hips, ankles = joints[NECK], middle(joints, HIPS), middle(joints, ANKLES)
    torso = unit(difference(hips, neck), (0.0, 1.0, 0.0))
    x, y, z = (
        a - UPPER_WEIGHT * (n + h) / 2 - HIPS_WEIGHT * h - LEGS_WEIGHT * a for n, h, a in zip(neck, hips, ankles)
    )
    support = unit((x, y, z), torso)
    x, y, z = (TORSO_SHARE * a + WEIGHT_SHARE * b for a, b in zip(torso, support))
    return unit((x, y, z), torso)


def heights_of_soles(upright: list[list[float]]) -> list[float]:
    """How far down the left and right sole reach: at the toe joint, or at a heel that is lower."""
    return [max(upright[toe][1], heel_height(upright[ankle], upright[toe])) for ankle, toe in zip(ANKLES, TOES)]


def heel_height(ankle: list[float], toe: list[float]) -> float:
    """How far down the heel is. It turns with the foot about the ankle."""
    foot = difference(toe, ankle)
    size = length(foot)
    sine = foot[1] / size if size > LEAST_FOOT else 0.0
    raised = FOOT_PITCH - asin(min(max(sine, -1.0), 1.0))  # of the toes, against a flat sole, radians
    return ankle[1] + size * (FOOT_REST[1] * cos(raised) + HEEL_SHARE * sin(raised))
