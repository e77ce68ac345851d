"""The room around a body whose head pose nobody tells: a guess, and called one wherever it goes.

A camera on a head knows neither up nor where it is. The guess: a body stands on its feet, its weight above them, its
torso upright. The floor is under the lower foot. The foot that stands does not slide. The hips look ahead, so that a
turn of the whole body is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from egostream.body.bones import FOOT_PITCH, FOOT_REST
from egostream.body.measure import Body
from egostream.body.plain import Axes, Quaternion, Vector, cross, in_axes, of_axes, turned, unit, without
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.skeleton import JOINTS

GUESS = "guess"  # of a room's origin; others are told by a headset or an IMU
#: How the two directions share in down: the torso's, and from the body's weight to the ankles. Over 330 mocap clips
#: their sum is off by 5 degrees in the median, 20 degrees at the 90th percentile (bending, climbing, lying).
TORSO_SHARE, WEIGHT_SHARE = 0.4, 0.6
#: Down is smoothed in the hips' axes, which turn less than a head does, s.
DOWN_SMOOTH_S = 0.3
FORGET_S = 0.5  # a longer gap
LEAST_LENGTH = 1e-6  # metres: a foot shorter than that points nowhere
#: The other foot stands when it is so much lower, metres: less is noise. Over mocap of walks, people get 84% as far as
#: they did (median of 14).
LOWER_M = 0.015
NECK = JOINTS.index("neck")
HIPS = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
ANKLES = [JOINTS.index("left_ankle"), JOINTS.index("right_ankle")]
TOES = [JOINTS.index("left_foot"), JOINTS.index("right_foot")]
#: How far the heel lies behind the ankle, of the way from the ankle to the toe joint: 5 of 14 cm.
HEEL_SHARE = 0.35
#: Shares of the body's weight: above the hips, at the hips, at the ankles.
UPPER_WEIGHT, HIPS_WEIGHT, LEGS_WEIGHT = 0.5, 0.25, 0.25


@dataclass(frozen=True)
class Placed:
    """A pose in a room: x to the wearer's right at first, y down, z ahead, the floor at y = 0, metres."""

    pose: BodyPose
    joints: np.ndarray  # [15, 3]
    turn: np.ndarray  # [4] rotation x, y, z, w from the camera's axes to the room's
    camera: np.ndarray  # [3] where the camera is
    world: str = GUESS  # who tells where the room is


class GuessedRoom:
    """Places one stream's poses in a room, in their order.

    walks: off, the hips stay above the origin, and feet slide instead.
    """

    def __init__(self, walks: bool = True):
        self.walks = walks
        self.down: Vector | None = None  # in the axes of the hips
        self.before: Placed | None = None
        self.stance = 0  # the foot that stands: left, right
        self.anchor = np.zeros(2)  # where it stands: x, z

    def __call__(self, pose: BodyPose, joints: np.ndarray, body: Body) -> Placed:
        """A pose in the camera's axes, and the joints [15, 3] that it was made of, in the room."""
        axes = self.axes(pose, joints)
        turn = np.array(of_axes(*zip(*axes)))  # the axes' matrix is that of the way back
        upright = joints @ np.array(axes).T
        shift = self.shift(body.joints(pose) @ np.array(axes).T, body)  # what is shown stands on the floor
        rotations = multiply(turn, pose.rotations)
        if self.before is not None:
            rotations[(rotations * self.before.pose.rotations).sum(-1) < 0] *= -1
        hips = in_axes(pose.hips.tolist(), *axes) + shift
        self.before = Placed(BodyPose(pose.t_ns, hips, rotations), upright + shift, turn, shift)
        return self.before

    def axes(self, pose: BodyPose, joints: np.ndarray) -> Axes:
        """The room's right, down and ahead, in the camera's axes."""
        hips: Quaternion = tuple(pose.rotations[0].tolist())  # type: ignore[assignment]
        right, ahead = turned(hips, (1.0, 0.0, 0.0)), turned(hips, (0.0, 0.0, 1.0))
        seen = in_axes(guessed_down(joints), right, cross(ahead, right), ahead)
        down = turned(hips, self.smoothed(seen, pose.t_ns))
        across = without(right, down)
        right = unit(across, unit(without((1.0, 0.0, 0.0), down), (0.0, 0.0, 1.0)))
        return right, down, cross(right, down)

    def smoothed(self, seen: Vector, t_ns: int) -> Vector:
        """Down in the axes of the hips, low-passed in time."""
        seconds = (t_ns - self.before.pose.t_ns) / 1e9 if self.before else FORGET_S
        if self.down is None or not 0 <= seconds < FORGET_S:
            self.down = seen
        share = 1 - exp(-seconds / DOWN_SMOOTH_S)
        x, y, z = (a + share * (b - a) for a, b in zip(self.down, seen))
        self.down = unit((x, y, z), seen)
        return self.down

    def shift(self, upright: np.ndarray, body: Body) -> np.ndarray:
        """What puts upright joints [15, 3] onto the floor, and the foot that stands where it stood: [3] metres."""
        soles = sole_heights(upright, np.linalg.norm(body.toes, axis=-1))
        other = 1 - self.stance
        is_first = self.before is None
        if soles[other] - soles[self.stance] > (0.0 if is_first else LOWER_M):
            if self.before is not None:
                self.anchor = self.anchor + self.step(upright, other)
            self.stance = other
        feet = upright[ANKLES][:, [0, 2]]
        if is_first or not self.walks:
            self.anchor = feet[self.stance] - upright[HIPS].mean(0)[[0, 2]]
        x, z = self.anchor - feet[self.stance]
        return np.array([x, -soles.max(), z])

    def step(self, upright: np.ndarray, other: int) -> np.ndarray:
        """The way [2] from the foot that stood to the one that stands now."""
        feet = upright[ANKLES][:, [0, 2]]
        return feet[other] - feet[self.stance]


def sole_heights(upright: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """How low the soles [2] of upright joints [15, 3] reach: at the toe joint or the heel. lengths [2]: of the feet."""
    drop = FOOT_REST[1] * lengths  # of the sole below the ankle, where it is flat
    ankles, feet = upright[ANKLES, 1], upright[TOES] - upright[ANKLES]
    sines = feet[:, 1] / np.maximum(np.linalg.norm(feet, axis=-1), LEAST_LENGTH)
    raised = FOOT_PITCH - np.arcsin(np.clip(sines, -1, 1))  # of the toes, against a flat sole, radians
    heels = drop * np.cos(raised) + HEEL_SHARE * lengths * np.sin(raised)
    return np.maximum(upright[TOES, 1], ankles + heels)


def guessed_down(joints: np.ndarray) -> Vector:
    """The direction of gravity that a standing, sitting or bending body lets guess, a unit vector."""
    hips, ankles = joints[HIPS].mean(0), joints[ANKLES].mean(0)
    weight = UPPER_WEIGHT * (joints[NECK] + hips) / 2 + HIPS_WEIGHT * hips + LEGS_WEIGHT * ankles
    torso = unit((hips - joints[NECK]).tolist(), (0.0, 1.0, 0.0))
    support = unit((ankles - weight).tolist(), torso)
    x, y, z = (TORSO_SHARE * a + WEIGHT_SHARE * b for a, b in zip(torso, support))
    return unit((x, y, z), torso)
