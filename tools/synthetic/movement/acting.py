"""What the parts of a body do in everyday activities: legs that stand or sit, arms that rest, reach, talk and hold.

Metres are those of the stick body. Wrists are given from the joint of the chest, in its frame: x outward, y up, z
forward. There the shoulders are at about (0.18, 0.22, 0), the face at (0, 0.45, 0.12).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.synthetic.movement.actor import SIDES, Actor, ease, hops, soft_floor, visits, wander
from tools.synthetic.movement.movement import Prop

HANGING = np.array([0.25, -0.3, 0.06])


def stand(
    a: Actor, lean=0.0, lower=0.0, sway: float = 1.0, stance: float | None = None, backward=None, look: float = 0.15
) -> None:
    """Stand on planted feet, the weight shifting from one to the other.

    ``lean`` (radians) bends the body forward, ``lower`` (metres) bends the knees: [F] each, or one number.
    """
    rng, t = a.rng, a.t
    stance = rng.uniform(0.07, 0.16) if stance is None else stance
    shift = sway * 0.03 * wander(rng, t, 4)
    lean = lean + 0.03 * sway * wander(rng, t, 3)
    a.root[:, 0] += shift
    # Who bends forward moves the hips back, to stay above the feet.
    a.root[:, 2] += 0.012 * wander(rng, t, 3) - (0.22 * np.sin(np.clip(lean, 0, 1.6)) if backward is None else backward)
    a.root[:, 1] -= 0.012 + lower
    a.torso(
        yaw=0.06 * sway * wander(rng, t, 5),
        tilt=0.45 * lean,
        hip_roll=1.2 * shift,
        bend=0.55 * lean,
        side=-1.2 * shift,
        twist=0.08 * sway * wander(rng, t, 4),
    )
    a.plant(stance, stagger=rng.normal(0, 0.04), splay=rng.uniform(0.05, 0.3))
    a.look(pitch=look)


def sit(a: Actor, lean=0.1, seat: float | None = None, look: float = 0.2) -> float:
    """Sit on a chair, the feet before it; returns the height of the seat, metres."""
    rng, t = a.rng, a.t
    seat = rng.uniform(0.42, 0.5) if seat is None else seat
    a.root[:, 1] = seat + 0.09 + 0.004 * wander(rng, t, 4)
    a.root[:, 0] += 0.008 * wander(rng, t, 5)
    lean = lean + 0.04 * wander(rng, t, 5)
    slouch = rng.uniform(-0.3, 0.05)
    a.torso(
        yaw=0.03 * wander(rng, t, 6),
        tilt=slouch + 0.4 * lean,
        bend=0.6 * lean - 0.6 * slouch,
        side=0.04 * wander(rng, t, 5),
        twist=0.05 * wander(rng, t, 5),
    )
    knees = rng.uniform(0.28, 0.5)
    a.plant(rng.uniform(0.08, 0.2), stagger=rng.normal(0, 0.06), splay=rng.uniform(0, 0.3), at=(0, knees))
    a.look(pitch=look)
    a.props.append(Prop("seat", (0.44, 0.05, 0.42), (0.0, seat - 0.025, 0.03)))
    return seat


def table(a: Actor, top: float | None = None, edge: float = 0.3) -> float:
    """Put a table before the body; returns the height of its top, metres."""
    rng = a.rng
    top = rng.uniform(0.68, 0.75) if top is None else top
    depth = rng.uniform(0.55, 0.8)
    a.props.append(
        Prop("table", (rng.uniform(1.0, 1.6), 0.03, depth), (rng.uniform(-0.2, 0.2), top - 0.015, edge + depth / 2))
    )
    return top


def above(a: Actor, side: str, wrist: np.ndarray, top: float, margin: float = 0.05) -> np.ndarray:
    """Wrist targets [F, 3] kept ``margin`` above a table whose top is at height ``top``."""
    s = np.array([SIDES[side], 1, 1])
    world = a.joint("chest") + np.einsum("fij,fj->fi", a.get("chest"), wrist * s)
    world[:, 1] = soft_floor(world[:, 1], top + margin)
    return a.world_to_chest(side, world)


def on_table(a: Actor, side: str, top: float, x, z, lift=0.0, margin: float = 0.045) -> np.ndarray:
    """Wrist targets over the table: x outward from the body's middle, z forward in the world, ``lift`` over the top."""
    zero = np.zeros(a.frames)
    return a.world_to_chest(side, np.stack([SIDES[side] * (zero + x), zero + top + margin + lift, zero + z], -1))


def reach_region(rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """A drawer of points [n, 3] all around within an arm's length, most of them in front and low, as work is."""

    def draw(n: int) -> np.ndarray:
        azimuth = rng.normal(0.1, 0.55, n).clip(-0.7, 1.5)  # 0 ahead, positive outward
        elevation = np.where(rng.random(n) < 0.75, rng.uniform(-1.1, 0.25, n), rng.uniform(0.2, 1.35, n))
        radius = rng.uniform(0.3, 0.55, n)
        ahead = np.cos(elevation) * radius
        return np.stack(
            [0.15 + ahead * np.sin(azimuth), 0.2 + radius * np.sin(elevation), 0.04 + ahead * np.cos(azimuth)], -1
        )

    return draw


def box(rng: np.random.Generator, low, high) -> Callable[[int], np.ndarray]:
    """A drawer of points [n, 3] between the corners ``low`` [3] and ``high`` [3]."""
    return lambda n: rng.uniform(low, high, (n, 3))


def arm_reach(a: Actor, side: str, draw=None, speed: float | None = None, dwell=(0.1, 1.0)) -> None:
    """Reach from one point that ``draw`` gives to the next, the hand opening and closing."""
    rng, t = a.rng, a.t
    speed = rng.uniform(0.6, 1.4) if speed is None else speed
    wrist = visits(rng, t, draw or reach_region(rng), dwell, speed) + 0.008 * wander(rng, t, 0.8, 3)
    closing = 0.45 + 0.4 * wander(rng, t, 1.5)
    a.arm(
        side,
        wrist,
        swivel=0.25 * wander(rng, t, 2.5),
        turn=0.5 + 0.6 * wander(rng, t, 1.8),
        flex=0.3 * wander(rng, t, 1.2),
        deviate=0.1 * wander(rng, t, 1.5),
        grip=closing,
    )


def arm_gesture(a: Actor, side: str) -> None:
    """Beat with a talking hand before the belly and the chest."""
    rng, t = a.rng, a.t
    base = visits(rng, t, box(rng, [0.02, -0.14, 0.2], [0.32, 0.16, 0.42]), (0.2, 0.9), 0.7)
    beats = 0.022 * wander(rng, t, 0.45, 3) * (1 + np.tanh(wander(rng, t, 2.5)))[:, None]
    turn = visits(rng, t, lambda n: rng.uniform(-1.2, 0.9, (n, 1)), (0.3, 1.2), 2.5)[:, 0]
    a.arm(
        side,
        base + beats,
        swivel=0.2 * wander(rng, t, 2),
        turn=turn,
        flex=0.3 * wander(rng, t, 0.9),
        deviate=0.15 * wander(rng, t, 1),
        grip=0.3 + 0.2 * wander(rng, t, 1),
    )


def arm_rest(a: Actor, side: str) -> None:
    """Rest a hand: hanging, on the hip or before the belly."""
    places: list[tuple[Any, dict[str, Any]]] = [
        (HANGING, {"turn": 0.35, "flex": 0.1}),
        ([0.2, -0.19, 0.02], {"turn": 0.9, "flex": 0.9, "swivel": 0.5, "clear": False}),
        ([0.05, -0.12, 0.21], {"turn": 0.3, "flex": 0.2}),
    ]
    wrist, settings = places[a.rng.choice(3, p=[0.6, 0.15, 0.25])]
    a.arm(side, wrist + 0.01 * wander(a.rng, a.t, 2, 3), **settings)


def to_face(
    a: Actor, side: str, low: np.ndarray, mouth, fade: float = 0.7, hold=(0.6, 1.6), pause=(0.6, 3.0)
) -> tuple[np.ndarray, np.ndarray]:
    """A wrist [F, 3] that goes from ``low`` [F, 3] to the mouth and back again and again; its progress [F] in 0..1."""
    rng, t = a.rng, a.t
    count = int(t[-1] / (2 * fade + hold[0] + pause[0])) + 2
    keys = np.tile([[0.0], [1.0]], (count, 1))
    dwell = np.stack([rng.uniform(pause[0], pause[1], count), rng.uniform(hold[0], hold[1], count)], -1).ravel()
    up = hops(
        t + rng.uniform(0, pause[0]), keys, dwell, np.full(2 * count - 1, fade) * rng.uniform(0.8, 1.4, 2 * count - 1)
    )[:, 0]
    wrist = low + up[:, None] * (np.asarray(mouth) - low)
    wrist[:, 2] += 0.09 * np.sin(np.pi * up)  # in a bow before the chest
    return wrist, up


def side_of(a: Actor) -> tuple[str, str]:
    """The busy hand's side and the other one: seven of ten are right ones."""
    return ("r", "l") if a.rng.random() < 0.7 else ("l", "r")


def in_hand(a: Actor, kind: str, side: str, size, offset) -> None:
    """Put a prop into a hand.

    ``offset`` [3] is in side coordinates: x along the fingers, y out of the hand's back, z towards the thumb.
    """
    a.props.append(Prop(kind, tuple(size), hand=side, offset=tuple(np.asarray(offset, float) * [SIDES[side], 1, 1])))


def cycles(a: Actor, shortest: float, longest: float) -> np.ndarray:
    """A number [F] that goes from about 0 to 1 and back, with rests: once in ``shortest`` to ``longest`` seconds."""
    rng, t = a.rng, a.t
    count = int(t[-1] / shortest) + 3
    keys = np.where(np.arange(count) % 2, rng.uniform(0.75, 1.0, count), rng.uniform(0.0, 0.1, count))[:, None]
    move = rng.uniform(shortest, longest, count - 1) / 2
    return hops(t + rng.uniform(0, 0.5), keys, rng.uniform(0.2, 1.2, count), move)[:, 0]


def hold_phone(a: Actor) -> None:
    """Hold a phone before the face, and type with the other hand now and then."""
    rng, t = a.rng, a.t
    side, other = side_of(a)
    place = np.array([rng.uniform(-0.02, 0.12), rng.uniform(0.08, 0.32), rng.uniform(0.28, 0.4)])
    a.arm(
        side,
        place + 0.008 * wander(rng, t, 1.5, 3),
        turn=-0.7 + 0.08 * wander(rng, t, 2),
        flex=0.25,
        swivel=0.1,
        grip=0.5,
    )
    in_hand(a, "phone", side, (0.15, 0.01, 0.075), (0.1, -0.03, 0.02))
    typing = np.clip(0.5 + 0.9 * wander(rng, t, 3), 0, 1)[:, None]
    typing = ease(typing)
    at_phone = place * [-1, 1, 1] + np.array([0.1, -0.02, -0.03]) + 0.012 * wander(rng, t, 0.4, 3)
    low = np.array([0.2, -0.12, 0.24])
    a.arm(other, low + typing * (at_phone - low), turn=0.5, flex=0.2, grip=0.6)
