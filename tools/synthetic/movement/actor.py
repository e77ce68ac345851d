"""A body that is told where its pelvis, feet and hands are, and finds the rotations of all segments.

Angles are radians: ``pitch`` leans forward, ``roll`` to the right, ``yaw`` turns to the left. What belongs to one side
is given in side coordinates: x outward, away from the middle of the body, so that one description serves both sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tools.synthetic.movement.movement import Movement, Prop
from tools.synthetic.movement.rotations import about, apply, transpose, unit
from tools.synthetic.movement.segments import BALL, HIP_HEIGHT, INDEX, OFFSETS, PARENTS, SEGMENTS

SIDES = {"r": -1.0, "l": 1.0}  # sign of x outward
UPPERARM, FOREARM = (float(np.linalg.norm(OFFSETS[INDEX[name]])) for name in ("forearm_r", "hand_r"))
THIGH, CALF = (float(np.linalg.norm(OFFSETS[INDEX[name]])) for name in ("calf_r", "foot_r"))
ANKLE = float(-BALL[1])  # height of the ankle over a flat sole
CHEST_HEIGHT = float(OFFSETS[:3, 1].sum())  # of the chest joint when standing
MAX_PRONATION, MAX_WRIST = np.radians(80), np.radians(65)
#: Half width and half depth of the ellipse, in the chest's frame, that wrists stay in front of.
TORSO = (0.21, 0.16)
CLOSE = 0.24  # metres from the shoulder that a wrist keeps when it passes it


# ---- signals --------------------------------------------------------------------------------------------------------


def ease(u) -> np.ndarray:
    """Minimum-jerk progress: 0 before u = 0, 1 after u = 1 (Flash and Hogan's 10 u^3 - 15 u^4 + 6 u^5)."""
    u = np.clip(u, 0, 1)
    return u * u * u * (10 + u * (6 * u - 15))


def waves(
    rng: np.random.Generator, period: float, size: int | None = None, count: int = 5
) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth random function of time with nothing faster than ``period`` seconds: a few sines, deviation about 1."""
    shape = (count, 1 if size is None else size)
    rate, start = 2 * np.pi / period * rng.uniform(0.15, 1.0, shape), rng.uniform(0, 2 * np.pi, shape)

    def at(t: np.ndarray) -> np.ndarray:
        noise = np.sin(t[:, None, None] * rate + start).sum(1) * np.sqrt(2 / count)
        return noise[:, 0] if size is None else noise

    return at


def wander(rng: np.random.Generator, t: np.ndarray, period: float, size: int | None = None) -> np.ndarray:
    """A smooth random signal at the times [F], of deviation about 1: [F], or [F, size]. See ``waves``."""
    return waves(rng, period, size)(t)


def hops(t: np.ndarray, keys: np.ndarray, dwell: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Rest at keys[0] for dwell[0] seconds, go to keys[1] within move[0], rest there, ...: [F, C] for keys [K, C]."""
    start = np.cumsum(dwell[: len(move)] + np.concatenate([[0], move[:-1]]))
    k = np.searchsorted(start, t, side="right") - 1
    inside = np.maximum(k, 0)
    u = np.where(k < 0, 0, (t - start[inside]) / move[inside])
    return keys[inside] + ease(u)[:, None] * (keys[inside + 1] - keys[inside])


def visits(rng, t: np.ndarray, draw, dwell=(0.2, 1.2), speed: float = 0.9, tempo: float = 1.0) -> np.ndarray:
    """Go from one drawn point to the next [F, C]. ``draw(n)`` gives [n, C]; longer ways take longer, as arms do."""
    shortest = (0.25 + dwell[0]) / tempo
    keys = draw(int(np.ceil((t[-1] - t[0]) / shortest)) + 3)
    move = (0.25 + np.linalg.norm(np.diff(keys, axis=0), axis=1) / speed) * rng.uniform(0.8, 1.3, len(keys) - 1) / tempo
    pause = rng.uniform(*dwell, len(keys)) / tempo
    return hops(t + rng.uniform(0, pause[0]), keys, pause, move)


def window(t: np.ndarray, start: float, stop: float, fade: float = 0.6) -> np.ndarray:
    """1 between start and stop, 0 outside, with minimum-jerk flanks of ``fade`` seconds within."""
    return ease((t - start) / fade) * ease((stop - t) / fade)


def soft_floor(value: np.ndarray, low, width: float = 0.03) -> np.ndarray:
    """max(value, low) with the corner rounded over ``width``."""
    return low + 0.5 * (value - low + np.sqrt((value - low) ** 2 + width**2))


def soft_clip(value: np.ndarray, limit: float, width: float = 0.2) -> np.ndarray:
    """``value`` within ±limit, the corners rounded over ``width``."""
    return -soft_floor(-soft_floor(value, -limit, width), -limit, width)


# ---- inverse kinematics ---------------------------------------------------------------------------------------------


def two_bones(
    start, target, first: float, second: float, pole, slack: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions [F, 3] of two bones from ``start`` towards ``target`` and the hinge between them.

    The middle joint lies towards ``pole`` [F, 3]. The hinge axis h is u x v: bending turns right-handed about it.
    Targets out of reach are aimed at, short of full stretch. The closest targets are at 150 degrees of bend. ``slack``
    metres before full stretch the end begins to lag behind its target: an elbow that straightens while the hand goes
    at a constant speed would snap.
    """
    way = target - start
    distance = np.linalg.norm(way, axis=-1)
    n = way / np.maximum(distance, 1e-9)[:, None]
    nearest = np.sqrt(first**2 + second**2 - 2 * first * second * np.cos(np.radians(30)))
    farthest = 0.998 * (first + second)
    d = soft_floor(distance, nearest, 0.01)
    d = farthest - soft_floor(farthest - d, 0.0, slack)
    d = np.clip(d, nearest, farthest)
    p = unit(pole - np.sum(pole * n, -1, keepdims=True) * n)
    cosine = np.clip((first**2 + d**2 - second**2) / (2 * first * d), -1, 1)[:, None]
    u = cosine * n + np.sqrt(1 - cosine**2) * p
    v = unit(d[:, None] * n - first * u)
    return u, v, np.cross(p, n)


def frames_along(direction, hinge, rest_direction, rest_hinge) -> np.ndarray:
    """Rotations [F, 3, 3] that take the rest direction and hinge (orthonormal) to the given ones."""
    posed = np.stack([direction, hinge, np.cross(direction, hinge)], -1)
    return posed @ np.stack([rest_direction, rest_hinge, np.cross(rest_direction, rest_hinge)], -1).T


class Actor:
    """Collects one performance; set the torso first, then the head, the legs and the arms."""

    def __init__(self, rng: np.random.Generator, seconds: float, fps: float):
        self.rng, self.fps = rng, float(fps)
        self.frames = max(int(round(seconds * fps)), 2)
        self.t = np.arange(self.frames) / fps
        self.root = np.tile([0.0, HIP_HEIGHT, 0.0], (self.frames, 1))
        self.rotations = np.tile(np.eye(3), (self.frames, len(SEGMENTS), 1, 1))
        self.grip = np.full((self.frames, 2), 0.3) + 0.08 * wander(rng, self.t, 2.0, 2)
        self.props: list[Prop] = []

    def set(self, segment: str, rotations: np.ndarray) -> None:
        """Set a segment's global rotations [F, 3, 3]."""
        self.rotations[:, INDEX[segment]] = rotations

    def get(self, segment: str) -> np.ndarray:
        """A segment's global rotations [F, 3, 3]."""
        return self.rotations[:, INDEX[segment]]

    def joint(self, segment: str) -> np.ndarray:
        """World position [F, 3] of a segment's joint, from what is set so far."""
        k, chain = INDEX[segment], []
        while k > 0:
            chain.append(k)
            k = PARENTS[k]
        position, parent = self.root, 0
        for k in reversed(chain):
            position, parent = position + self.rotations[:, parent] @ OFFSETS[k], k
        return position

    def torso(self, yaw=0.0, tilt=0.0, hip_roll=0.0, bend=0.0, side=0.0, twist=0.0) -> None:
        """Turn the pelvis by yaw, tilt (pitch) and hip_roll; bend the spine forward and to the side, and twist it."""
        zero = np.zeros(self.frames)
        R = about("Y", zero + yaw) @ about("X", zero + tilt) @ about("Z", zero + hip_roll)
        self.set("pelvis", R)
        step = about("Y", (zero + twist) / 2) @ about("X", (zero + bend) / 2) @ about("Z", (zero + side) / 2)
        self.set("spine", R @ step)
        self.set("chest", R @ step @ step)
        self.head()

    def head(self, yaw=0.0, pitch=0.0, roll=0.0) -> None:
        """Turn the head relative to the chest, half of the way in the neck."""
        zero = np.zeros(self.frames)
        half = about("Y", (zero + yaw) / 2) @ about("X", (zero + pitch) / 2) @ about("Z", (zero + roll) / 2)
        self.set("neck", self.get("chest") @ half)
        self.set("head", self.get("chest") @ half @ half)

    def look(self, pitch: float = 0.15, wide: float = 0.45, upright: float = 0.6) -> None:
        """Glance around: hold a direction, turn quickly to the next. The head undoes ``upright`` of the lean."""
        rng, t = self.rng, self.t
        draw = lambda n: np.stack(
            [np.clip(rng.normal(0, wide, n), -1.1, 1.1), np.clip(rng.normal(pitch, 0.2, n), -0.5, 0.7)], -1
        )
        aim = visits(rng, t, draw, dwell=(0.4, 2.5), speed=1.6) + 0.02 * wander(rng, t, 0.8, 2)
        lean = np.arcsin(np.clip(self.get("chest")[:, 1, 2] * -1, -1, 1))
        self.head(aim[:, 0], np.clip(aim[:, 1] - upright * lean, -0.75, 0.85), 0.06 * wander(rng, t, 2.5))

    # ---- legs ----

    def leg(
        self, side: str, ankle: np.ndarray, foot: np.ndarray, toe: np.ndarray | None = None, pole=(0.12, 0.0, 1.0)
    ) -> None:
        """A leg by the ankle's world position [F, 3] and the foot's rotation; the knee points along ``pole``.

        pole: in the frame of the pelvis' heading and foot's yaw, halfway, side coordinates; or world vectors [F, 3].
        """
        s = SIDES[side]
        hip = self.root + self.get("pelvis") @ OFFSETS[INDEX[f"thigh_{side}"]]
        if np.ndim(pole) == 1:
            forward = unit(self.get("pelvis")[:, :, 2] + unit(flat(foot[:, :, 2])))
            outward = s * self.get("pelvis")[:, :, 0]
            pole = pole[2] * forward + pole[0] * outward + pole[1] * np.array([0, 1.0, 0])
        u, v, hinge = two_bones(hip, ankle, THIGH, CALF, pole, 0.01)
        self.set(f"thigh_{side}", frames_along(u, hinge, np.array([0, -1.0, 0]), np.array([1.0, 0, 0])))
        self.set(f"calf_{side}", frames_along(v, hinge, np.array([0, -1.0, 0]), np.array([1.0, 0, 0])))
        self.set(f"foot_{side}", foot)
        self.set(f"toe_{side}", foot if toe is None else toe)

    def settle(self, ankles: dict[str, np.ndarray], reach: float = 0.996, slack: float = 0.006) -> None:
        """Lower the pelvis where a leg would need more than ``reach`` of its length, from ``slack`` metres before."""
        for side, ankle in ankles.items():
            way = self.root + self.get("pelvis") @ OFFSETS[INDEX[f"thigh_{side}"]] - ankle
            height = np.sqrt(np.maximum((reach * (THIGH + CALF)) ** 2 - way[:, 0] ** 2 - way[:, 2] ** 2, 0.01))
            self.root[:, 1] -= soft_floor(way[:, 1] - height, 0.0, slack)

    def plant(
        self,
        stance: float = 0.1,
        stagger: float = 0.0,
        splay: float = 0.15,
        heels: np.ndarray | float = 0.0,
        at=(0.0, 0.0),
    ) -> None:
        """Both feet still on the floor, ``stance`` metres from the middle, the right one ``stagger`` ahead.

        heels: angle [F] by which the heels are raised, the balls staying; at: (x, z) of the middle between the ankles.
        """
        ankles, feet, toes = {}, {}, {}
        for side, s in SIDES.items():
            yaw = about("Y", s * splay)
            raised = np.zeros(self.frames) + heels
            feet[side] = yaw @ about("X", raised)
            toes[side] = np.broadcast_to(yaw, feet[side].shape)
            ground = np.array([at[0] + s * stance, 0.0, at[1] - s * stagger / 2]) + yaw @ [0, 0, BALL[2]]
            ankles[side] = ground - feet[side] @ BALL
        self.settle(ankles)
        for side in SIDES:
            self.leg(side, ankles[side], feet[side], toes[side])

    # ---- arms ----

    def arm(self, side: str, wrist, swivel=0.0, turn=0.3, flex=0.0, deviate=0.0, grip=None, clear: bool = True) -> None:
        """An arm by its wrist in the chest's frame [F, 3], side coordinates, from the chest's joint.

        swivel: raises the elbow outward, about the line from shoulder to wrist. turn: pronation, 0 with the thumb up
        when the forearm points forward, positive towards palm down. flex: the wrist towards the palm; deviate: towards
        the thumb. clear: keep the wrist in front of the torso.
        """
        s, zero = SIDES[side], np.zeros(self.frames)
        chest = self.get("chest")
        wrist = zero[:, None] + np.asarray(wrist, float)
        wrist = in_front(wrist) if clear else wrist
        shoulder = OFFSETS[INDEX[f"clavicle_{side}"]] + OFFSETS[INDEX[f"upperarm_{side}"]]
        way = wrist - shoulder * [s, 1, 1]
        # Around a hand that passes close to the shoulder the arm would whirl: it passes further in front.
        closest = soft_floor(way[:, 2], CLOSE * (1 - (way[:, 0] ** 2 + way[:, 1] ** 2) / CLOSE**2), 0.06)
        wrist = np.concatenate([wrist[:, :2], (wrist[:, 2] + closest - way[:, 2])[:, None]], -1)
        raise_, forward = (
            0.35 * ease((way[:, 1] + 0.1) / 0.6),
            0.3 * ease((way[:, 2] - 0.25) / 0.35) + 0.25 * ease(-way[:, 0] / 0.4),
        )
        clavicle = about("Y", -s * forward) @ about("Z", s * raise_)
        start = OFFSETS[INDEX[f"clavicle_{side}"]] + clavicle @ OFFSETS[INDEX[f"upperarm_{side}"]]
        target = wrist * [s, 1, 1]
        u, v, hinge = two_bones(
            start, target, UPPERARM, FOREARM, self.elbow_pole(target - start, s, zero + swivel), 0.05
        )
        d0, h0 = np.array([s, 0, 0]), np.array([0, -s, 0])
        upper, fore = frames_along(u, hinge, d0, h0), frames_along(v, hinge, d0, h0)
        turn = soft_clip(zero + turn, MAX_PRONATION)
        # The forearm's bones turn about each other: half of the way at the middle of the forearm.
        half = about("X", turn / 2)  # about the bone: ±X by ±turn, the same for both sides
        bend = about("Z", -s * soft_clip(zero + flex, MAX_WRIST)) @ about("Y", -s * soft_clip(zero + deviate, 0.5))
        self.set(f"clavicle_{side}", chest @ clavicle)
        self.set(f"upperarm_{side}", chest @ upper)
        self.set(f"forearm_{side}", chest @ fore @ half)
        self.set(f"hand_{side}", chest @ fore @ half @ half @ bend)
        if grip is not None:
            self.grip[:, 0 if side == "r" else 1] = grip

    @staticmethod
    def elbow_pole(way: np.ndarray, s: float, swivel: np.ndarray) -> np.ndarray:
        """Where an elbow points when the wrist lies along ``way`` [F, 3] from the shoulder, in the chest's frame.

        Down and a little outward in front of the body, backward beside a hanging hand, outward below a raised one.
        """
        n = unit(way)
        hanging, raised = ease(-n[:, 1] * 1.2 - 0.2), ease(n[:, 1])
        across = ease(-s * way[:, 0] / 0.4)  # a forearm across the belly leaves the elbow at the side
        pole = np.stack(
            [
                s * (0.35 + 0.6 * raised + 1.4 * across),
                -0.8 * (1 - hanging),
                -0.25 - 0.75 * hanging + 0.3 * raised + 0.6 * across,
            ],
            -1,
        )
        p = unit(pole - np.sum(pole * n, -1, keepdims=True) * n)
        return apply(about(n, s * swivel), p)

    def world_to_chest(self, side: str, points: np.ndarray) -> np.ndarray:
        """World points [F, 3] as wrist targets of a side."""
        return apply(transpose(self.get("chest")), points - self.joint("chest")) * [SIDES[side], 1, 1]

    def movement(self, name: str) -> Movement:
        """What has been set, as a movement of that name."""
        return Movement(
            name, self.fps, self.root, HIP_HEIGHT, self.rotations, np.clip(self.grip, 0, 1), tuple(self.props), name
        )


def flat(v: np.ndarray) -> np.ndarray:
    """The horizontal part of vectors [..., 3]."""
    return v * [1, 0, 1]


def in_front(wrist: np.ndarray) -> np.ndarray:
    """Wrists [F, 3] in side coordinates moved forward out of the torso, between the hips and the shoulders."""
    half_width, half_depth = TORSO
    floor = half_depth * (1 - (wrist[:, 0] / half_width) ** 4) - 0.8 * ease((wrist[:, 1] - 0.25) / 0.25)
    return np.stack([wrist[:, 0], wrist[:, 1], soft_floor(wrist[:, 2], np.maximum(floor, -2.0), 0.05)], -1)
