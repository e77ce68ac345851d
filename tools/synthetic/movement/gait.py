"""Walking, running and climbing stairs: feet that are planted where the path passes, and a pelvis carried over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synthetic.movement.actor import SIDES, Actor, ease, soft_floor, wander
from tools.synthetic.movement.rotations import about
from tools.synthetic.movement.segments import BALL, HEEL, HIP_HEIGHT, OFFSETS, TIP

ADVANCE = -0.07  # metres from below the hip to a foot's ankle, in the middle of its stance: the heel rises early
PAD = 2.5  # seconds that the path goes on before and after, so that the first and the last steps have a goal


@dataclass(frozen=True)
class Style:
    """How a body walks; walking and running differ only here."""

    stance: float = 0.6  # part of the cycle that a foot is on the floor
    bob: float = 0.018  # metres, amplitude of the pelvis
    bob_sign: float = 1.0  # +1: highest over the standing foot (walking), -1: lowest (running)
    lift: float = 0.06  # metres by which a swinging ankle is raised
    kick: float = 0.0  # metres by which it lags behind
    strike: float = 0.3  # rad, toes up when the heel lands
    push: float = 0.95  # rad, heel up when the foot leaves
    crouch: float = 0.015  # metres below the full hip height
    lean: float = 0.05  # rad
    swing: float = 0.22  # metres that the hands swing
    elbow: float = 0.0  # 0: arms hang, 1: elbows at a right angle


@dataclass(frozen=True)
class Path:
    """A path on the floor over padded time [P]."""

    t: np.ndarray
    centre: np.ndarray  # [P, 2], x and z
    yaw: np.ndarray
    phase: np.ndarray  # cycles; the right heel lands at whole numbers, the left one half a cycle later

    @classmethod
    def along(cls, seconds: float, speed, yaw, cadence) -> Path:
        """The path of a speed (m/s), a yaw and a cadence (1/s), functions of time [P]; it begins at the origin."""
        t = np.arange(-PAD, seconds + PAD, 1 / 120)
        step = np.diff(t, prepend=t[0])
        velocity = speed(t)[:, None] * np.stack([np.sin(yaw(t)), np.cos(yaw(t))], -1)
        integral = lambda rate: np.cumsum(rate * (step if rate.ndim == 1 else step[:, None]), 0)
        centre, phase = integral(velocity), integral(cadence(t))
        start = np.searchsorted(t, 0)
        return cls(t, centre - centre[start], yaw(t), phase - phase[start])

    def at(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centre [N, 2] and yaw [N] at times."""
        return np.stack([np.interp(t, self.t, self.centre[:, k]) for k in (0, 1)], -1), np.interp(t, self.t, self.yaw)


def foot_pitch(u: np.ndarray, style: Style) -> np.ndarray:
    """Pitch [F] of a foot at cycle fraction u, positive with the heel up. It strikes at 0, leaves at style.stance."""
    leave = style.stance
    landing = -style.strike * (1 - ease(u / (0.16 * leave)))
    pushing = (
        style.push
        * ease((u - 0.55 * leave) / (0.45 * leave + 0.08))
        * (1 - ease((u - leave - 0.04) / (0.55 * (1 - leave))))
    )
    return landing + pushing - style.strike * ease((u - leave - 0.45 * (1 - leave)) / (0.55 * (1 - leave)))


def feet(
    actor: Actor, path: Path, style: Style, width: float, height=None, advance: float = ADVANCE
) -> dict[str, tuple]:
    """Ankle [F, 3], foot and toe rotations of both sides.

    height: function of a footfall's number (even: right, odd: left, in the order of time): its floor. Flat by default.
    """
    return {side: one_foot(actor, path, style, s, width, height, advance) for side, s in SIDES.items()}


def one_foot(actor: Actor, path: Path, style: Style, s: float, width: float, height, advance: float) -> tuple:
    half = 0.5 if s > 0 else 0.0
    phase = np.interp(actor.t, path.t, path.phase) + half
    n = np.floor(phase)
    u = phase - n

    def footfall(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A cycle's ankle over the flat foot [F, 3], and the foot's yaw: below the hip in the middle of its stance."""
        when = np.interp(number + style.stance / 2 - half, path.phase, path.t)
        centre, yaw = path.at(when)
        left = np.stack([np.cos(yaw), -np.sin(yaw)], -1)
        ahead = np.stack([np.sin(yaw), np.cos(yaw)], -1)
        xz = centre + s * width * left + advance * ahead
        y = 0 * when if height is None else height(2 * (number - half))
        return np.stack([xz[:, 0], y - HEEL[1], xz[:, 1]], -1), yaw + s * 0.1

    here, yaw_here = footfall(n)
    there, yaw_there = footfall(n + 1)
    pitch = foot_pitch(u, style)
    v = np.clip((u - style.stance) / (1 - style.stance), 0, 1)
    yaw = yaw_here + ease(v) * (yaw_there - yaw_here)
    rolled = lambda angle, turned: about("Y", turned) @ about("X", angle)

    def pivoted(ankle: np.ndarray, angle: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """The ankle when the foot tips over its ball, or over its heel."""
        point = np.where((angle > 0)[:, None], BALL, HEEL)
        R = rolled(angle, turned)
        return ankle + np.einsum("fij,fj->fi", about("Y", turned) - R, point)

    leave, strike = foot_pitch(np.full_like(u, style.stance), style), foot_pitch(np.full_like(u, 1 - 1e-9), style)
    stand = pivoted(here, pitch, yaw_here)
    start, end = pivoted(here, leave, yaw_here), pivoted(there, strike, yaw_there)
    # The foot leaves and lands with some speed: a blend of uniform and minimum-jerk progress.
    progress = 0.25 * v + 0.75 * ease(v)
    bump = np.sin(np.pi * v) ** 2
    swing = start + progress[:, None] * (end - start)
    swing[:, 1] += style.lift * bump + 0.6 * np.abs(end[:, 1] - start[:, 1]) * bump
    back = -style.kick * np.sin(np.pi * np.minimum(v * 1.3, 1)) ** 2
    swing += back[:, None] * np.stack([np.sin(yaw), 0 * yaw, np.cos(yaw)], -1)
    ankle = np.where((v > 0)[:, None], swing, stand)
    foot = rolled(pitch, yaw)
    bent = np.clip(pitch, 0, None) * (
        1 - ease(v / 0.6) + ease((v - 0.7) / 0.3)
    )  # the toes stay on the floor while the heel is up
    toe = rolled(pitch - bent, yaw)
    ground = np.minimum(here[:, 1], there[:, 1]) + HEEL[1]
    ball = OFFSETS[16]
    lowest = (
        np.min([(foot @ HEEL)[:, 1], (foot @ BALL)[:, 1], (foot @ ball + toe @ TIP)[:, 1]], 0) + ankle[:, 1] - ground
    )
    ankle[:, 1] += np.where(v > 0, soft_floor(-lowest, 0.0, 0.004) * np.minimum(20 * v * (1 - v), 1), 0)
    return ankle, foot, toe


def walk_legs(
    actor: Actor, path: Path, style: Style, width: float = 0.08, height=None, advance: float = ADVANCE
) -> np.ndarray:
    """Set root, torso, head and legs along the path; returns the phase [F] of the cycle."""
    t = actor.t
    centre, yaw = path.at(t)
    phase = np.interp(t, path.t, path.phase)
    over = 2 * np.pi * (phase - style.stance / 2)  # 0: over the right foot
    ground = 0.0
    if height is not None:  # the body rises steadily from one foot's floor to the other's
        k = 2 * (phase - style.stance / 2)
        low = np.floor(k)
        ground = height(low) + ease(k - low) * (height(low + 1) - height(low)) - 0.02
    actor.root[:, 1] = HIP_HEIGHT - style.crouch + ground + style.bob_sign * style.bob * np.cos(2 * over)
    sway = -0.022 * np.cos(over) * min(1.0, width / 0.08)
    actor.root[:, 0] = centre[:, 0] + sway * np.cos(yaw)
    actor.root[:, 2] = centre[:, 1] - sway * np.sin(yaw)
    moving = min(1.0, 2 * style.swing / 0.22)
    # The side that swings forward takes its hip along and drops it a little; the shoulders turn against it.
    turn = 0.09 * moving * np.sin(over)
    actor.torso(
        yaw=yaw - turn,
        tilt=0.4 * style.lean,
        hip_roll=-0.05 * np.cos(over),
        bend=0.6 * style.lean + 0.02 * wander(actor.rng, t, 2),
        side=0.05 * np.cos(over),
        twist=1.7 * turn,
    )
    placed = feet(actor, path, style, width, height, advance)
    actor.settle({side: parts[0] for side, parts in placed.items()}, reach=0.99, slack=0.015)
    for side, (ankle, foot, toe) in placed.items():
        actor.leg(side, ankle, foot, toe)
    return phase


def swing_arms(actor: Actor, phase: np.ndarray, style: Style) -> None:
    """Arms that swing against the legs: forward with the other side's heel."""
    rng, t = actor.rng, actor.t
    for side, s in SIDES.items():
        own = phase + (0.5 if s > 0 else 0.0)
        forward = -np.cos(2 * np.pi * (own - 0.02)) + 0.1 * wander(rng, t, 2)
        hanging = [0.25, -0.3, 0.08] + forward[:, None] * [-0.03, 0.0, 1.0] * np.array([1, 1, style.swing])
        hanging[:, 1] += 0.35 * style.swing * np.maximum(forward, 0) ** 2
        bent = [0.18, -0.02, 0.2] + forward[:, None] * np.array([-0.05, 0.5, 0.75]) * style.swing
        wrist = hanging + style.elbow * (bent - hanging) + 0.006 * wander(rng, t, 1, 3)
        actor.arm(side, wrist, turn=0.35, flex=0.1, swivel=0.1 * rng.normal(), grip=0.35 + 0.35 * style.elbow)
