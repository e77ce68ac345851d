"""Everyday movements made up from a random generator: what hands do before a head-mounted camera, on legs that stand, sit or walk.

Every activity is a function ``(rng, seconds, fps) -> Motion`` in ACTIVITIES; ``random_activity`` draws one, often with the
arms of another. Metres are those of the stick body (``motion.HIP_HEIGHT``); wrists are given as in ``acting``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tools.synthetic.movement.acting import (
    HANGING,
    above,
    arm_gesture,
    arm_reach,
    arm_rest,
    box,
    cycles,
    hold_phone,
    in_hand,
    on_table,
    side_of,
    sit,
    stand,
    table,
    to_face,
)
from tools.synthetic.movement.actor import SIDES, Actor, ease, visits, wander, waves, window
from tools.synthetic.movement.gait import ADVANCE, Path, Style, swing_arms, walk_legs
from tools.synthetic.movement.motion import BALL, HEEL, HIP_HEIGHT, INDEX, OFFSETS, TIP, Motion, Prop, with_arms
from tools.synthetic.movement.rotations import about

Activity = Callable[[np.random.Generator, float, float], Motion]
ACTIVITIES: dict[str, Activity] = {}
#: How often random_activity draws each, relative to the others.
WEIGHTS: dict[str, float] = {}


def activity(weight: float = 1.0):
    """Register an activity under its function's name: ``perform(actor)`` sets everything on an Actor."""

    def register(perform: Callable[[Actor], None]) -> Activity:
        def make(rng: np.random.Generator, seconds: float, fps: float) -> Motion:
            actor = Actor(rng, seconds, fps)
            perform(actor)
            return actor.motion(perform.__name__)

        make.__doc__, make.__name__ = perform.__doc__, perform.__name__
        ACTIVITIES[perform.__name__], WEIGHTS[perform.__name__] = make, weight
        return make

    return register


# ---- standing -------------------------------------------------------------------------------------------------------


@activity(1.0)
def stand_idle(a: Actor) -> None:
    """Wait, shift the weight, look around."""
    stand(a)
    for side in SIDES:
        arm_rest(a, side)


@activity(2.0)
def talk(a: Actor) -> None:
    """Stand and talk with the hands."""
    stand(a, look=0.05)
    first, second = side_of(a)
    arm_gesture(a, first)
    (arm_gesture if a.rng.random() < 0.6 else arm_rest)(a, second)


@activity(1.0)
def look_around(a: Actor) -> None:
    """Turn head and shoulders, up and down too."""
    stand(a)
    aim = visits(
        a.rng, a.t, lambda n: np.stack([a.rng.uniform(-1.2, 1.2, n), a.rng.uniform(-0.4, 0.75, n)], -1), (0.3, 1.8), 1.5
    )
    a.torso(yaw=0.15 * aim[:, 0], bend=0.03, twist=0.3 * aim[:, 0])
    a.plant(0.1, splay=0.2)
    a.head(0.7 * aim[:, 0], aim[:, 1], 0.05 * wander(a.rng, a.t, 2))
    for side in SIDES:
        arm_rest(a, side)


@activity(4.0)
def reach(a: Actor) -> None:
    """Both hands on their own ways: front, side, low, overhead."""
    rng, t = a.rng, a.t
    stand(a, lean=np.clip(0.12 + 0.18 * wander(rng, t, 3), 0, 0.7), look=0.25)
    for side in SIDES:
        arm_reach(a, side)


@activity(2.0)
def bimanual_work(a: Actor) -> None:
    """Both hands at one thing before the belly: a tool in one, the work in the other."""
    rng, t = a.rng, a.t
    stand(a, lean=rng.uniform(0.05, 0.3), sway=0.6, look=0.45)
    first, second = side_of(a)
    middle = visits(rng, t, box(rng, [-0.1, -0.12, 0.26], [0.1, 0.15, 0.42]), (0.4, 1.5), 0.5)
    apart = 0.07 + 0.03 * wander(rng, t, 1.5)
    for side, s, busy in ((first, SIDES[first], 1.0), (second, SIDES[second], 0.3)):
        wrist = middle * [s, 1, 1] + 0.025 * busy * wander(rng, t, 0.5, 3)
        wrist[:, 0] += apart + 0.03
        a.arm(
            side,
            wrist,
            turn=0.3 + 0.5 * wander(rng, t, 1.6),
            flex=0.15 + 0.25 * busy * wander(rng, t, 0.7),
            swivel=0.15 * wander(rng, t, 3),
            grip=0.75 if busy == 1 else 0.5,
        )
    in_hand(a, "tool", first, (0.03, 0.03, 0.2), (0.09, -0.035, 0.04))


@activity(1.0)
def play_ball(a: Actor) -> None:
    """A ball between both hands, moved about."""
    rng, t = a.rng, a.t
    stand(a, lean=0.1, lower=0.03 + 0.02 * wander(rng, t, 2))
    radius = 0.11
    middle = visits(rng, t, box(rng, [-0.15, -0.15, 0.28], [0.15, 0.4, 0.4]), (0.1, 0.8), 0.9)
    for side, s in SIDES.items():
        wrist = middle * [s, 1, 1] + np.array([radius + 0.02, 0, -0.06])
        a.arm(side, wrist, turn=0.05, flex=-0.2, swivel=0.2, grip=0.2)
    in_hand(a, "ball", "r", (2 * radius,) * 3, (0.07, -radius - 0.02, 0.0))


@activity(1.0)
def wave(a: Actor) -> None:
    """Raise a hand and wave."""
    rng, t = a.rng, a.t
    stand(a, look=0.0)
    side, other = side_of(a)
    up = np.clip(
        sum(window(t, at, at + rng.uniform(2, 4), 0.7) for at in np.arange(rng.uniform(0, 1), t[-1] + 1, 5.5)), 0, 1
    )
    swing = 0.09 * np.sin(2 * np.pi * rng.uniform(1.4, 2.4) * t)
    raised = np.array([0.3, rng.uniform(0.3, 0.6), rng.uniform(0.12, 0.3)]) + swing[:, None] * [1, -0.15, 0]
    wrist = HANGING + up[:, None] * (raised - HANGING)
    wrist[:, 2] += 0.15 * np.sin(np.pi * up)
    a.arm(side, wrist, turn=0.3 + 0.7 * up, deviate=up * swing * -3, swivel=0.2 * up, grip=0.3 - 0.25 * up)
    arm_rest(a, other)


@activity(0.7)
def clap(a: Actor) -> None:
    """Applaud."""
    rng, t = a.rng, a.t
    stand(a, look=0.05)
    rate = rng.uniform(1.6, 3.0)
    on = 0.5 + 0.5 * np.tanh(3 * (0.6 + wander(rng, t, 3)))
    gap = 0.045 + 0.07 * (1 + np.cos(2 * np.pi * rate * t)) * on + 0.04 * (1 - on)
    middle = np.array([0, rng.uniform(-0.02, 0.2), rng.uniform(0.24, 0.34)]) + 0.02 * wander(rng, t, 2, 3)
    for side, s in SIDES.items():
        wrist = middle * [s, 1, 1]
        wrist[:, 0] += gap
        a.arm(side, wrist, turn=-0.1, flex=-0.1, swivel=0.15, grip=0.08)


@activity(1.0)
def fold_arms(a: Actor) -> None:
    """Arms crossed before the chest."""
    rng, t = a.rng, a.t
    stand(a)
    on = window(t, rng.uniform(-2, 0.8), t[-1] + rng.uniform(-0.8, 2), 1.0)[:, None]
    breath = 0.006 * wander(rng, t, 2.5, 3)
    first, second = side_of(a)
    for side, folded, flex in ((first, [-0.11, 0.02, 0.27], 0.0), (second, [-0.09, 0.0, 0.2], 0.1)):
        wrist = HANGING + on * (np.array(folded) - HANGING) + breath
        wrist[:, 2] += 0.14 * np.sin(np.pi * on[:, 0])
        a.arm(side, wrist, turn=0.3 + 0.1 * on[:, 0], flex=flex, swivel=0.1, grip=0.35)


@activity(0.8)
def hands_on_hips(a: Actor) -> None:
    """Both hands on the hips, on and off."""
    rng, t = a.rng, a.t
    stand(a)
    for side in SIDES:
        on = window(t, rng.uniform(-2, 1), t[-1] + rng.uniform(-1, 2), 0.9)[:, None]
        wrist = HANGING + on * (np.array([0.2, -0.19, 0.03]) - HANGING) + 0.005 * wander(rng, t, 2, 3)
        wrist[:, 0] += 0.06 * np.sin(np.pi * on[:, 0])
        a.arm(side, wrist, turn=0.35 + 0.6 * on[:, 0], flex=0.1 + 0.8 * on[:, 0], swivel=0.6 * on[:, 0], clear=False)


@activity(1.2)
def stretch(a: Actor) -> None:
    """Arms overhead, to the sides and forward, with the trunk going along."""
    rng, t = a.rng, a.t
    stand(a, look=-0.1)
    poses = np.array(
        [
            [0.25, -0.3, 0.06],
            [0.12, 0.76, 0.05],
            [0.72, 0.24, 0.02],
            [0.08, 0.2, 0.56],
            [0.3, 0.65, 0.1],
            [0.45, 0.55, 0.0],
        ]
    )
    draw = lambda n: poses[rng.integers(0, len(poses), n)]
    both = rng.random() < 0.6
    shared = visits(rng, t, draw, (0.6, 2.0), 0.7)
    side_bend = 0.3 * wander(rng, t, 3) * ease((shared[:, 1] - 0.3) / 0.4)
    a.torso(bend=-0.05 - 0.1 * ease((shared[:, 1] - 0.4) / 0.3), side=side_bend, twist=0.15 * wander(rng, t, 3))
    a.plant(0.14, splay=0.2)
    a.look(pitch=-0.05, wide=0.2)
    for side in SIDES:
        wrist = shared if both or side == "r" else visits(rng, t, draw, (0.6, 2.0), 0.7)
        wrist = wrist + np.array([0.0, 0.0, 0.22]) * np.sin(np.pi * ease((wrist[:, 1] + 0.3) / 1.1))[:, None] * ease(
            (0.7 - wrist[:, :1]) / 0.4
        )
        a.arm(side, wrist, turn=0.3 + 0.3 * wander(rng, t, 3), flex=0.1, grip=0.3 + 0.3 * wander(rng, t, 3))


@activity(1.5)
def phone(a: Actor) -> None:
    """Look at a phone held before the face, and type with the other hand now and then."""
    (sit if a.rng.random() < 0.35 else stand)(a, look=0.45)
    hold_phone(a)


@activity(1.2)
def read_paper(a: Actor) -> None:
    """A sheet or a newspaper in both hands."""
    rng, t = a.rng, a.t
    (sit if rng.random() < 0.5 else stand)(a, look=0.35)
    width = rng.uniform(0.21, 0.5)
    middle = np.array([0, rng.uniform(-0.02, 0.25), rng.uniform(0.27, 0.38)]) + 0.02 * wander(rng, t, 2.5, 3)
    tilt = 0.03 * wander(rng, t, 2)
    for side, s in SIDES.items():
        wrist = middle * [s, 1, 1]
        wrist[:, 0] += width / 2 + 0.03
        wrist[:, 1] += s * tilt
        a.arm(side, wrist, turn=-0.35, flex=0.15, deviate=0.1, swivel=0.1, grip=0.65)
    in_hand(a, "paper", "r", (0.02, width, 0.3), (0.1, -width / 2, 0.08))


@activity(1.5)
def bend_forward(a: Actor) -> None:
    """Bend down from the hips, hands towards shins and floor, and up again."""
    rng, t = a.rng, a.t
    depth = cycles(a, 1.5, 3.5) * rng.uniform(0.8, 1.5)
    stand(a, lean=depth, sway=0.5, lower=0.05 * depth)
    for side in SIDES:
        down = (depth / 1.5)[:, None]
        low = np.array([0.12, 0.0, 0.5]) + 0.05 * wander(rng, t, 1.5, 3)
        wrist = HANGING + ease(down * 1.3) * (low - HANGING)
        a.arm(side, wrist, turn=0.4, grip=0.35 + 0.3 * wander(rng, t, 2))


@activity(2.0)
def crouch_and_pick(a: Actor) -> None:
    """Bend the knees, take something from the floor, stand up with it."""
    rng, t = a.rng, a.t
    down = cycles(a, 1.6, 3.2)
    deep = rng.uniform(0.3, 0.5)
    a.root[:, 1] -= 0.012 + deep * down
    a.root[:, 2] -= 0.12 * down
    lean = 0.06 + rng.uniform(0.6, 1.0) * down
    a.torso(yaw=0.05 * wander(rng, t, 4), tilt=0.55 * lean, bend=0.45 * lean, twist=0.1 * wander(rng, t, 3))
    a.plant(
        rng.uniform(0.12, 0.2), stagger=rng.normal(0, 0.1), splay=0.3, heels=0.55 * down * ease((deep - 0.3) / 0.15)
    )
    a.look(pitch=0.4, wide=0.25)
    both = rng.random() < 0.6
    first, second = side_of(a)
    for side in (first, second):
        ground = a.world_to_chest(
            side,
            np.stack(
                [SIDES[side] * (0.12 + 0.03 * wander(rng, t, 2)), 0.14 + 0.0 * t, 0.42 + 0.05 * wander(rng, t, 2)], -1
            ),
        )
        knee = np.array([0.22, -0.1, 0.3])
        carry = np.array([0.12, -0.1, 0.3])
        goal = ground if both or side == first else knee
        a.arm(
            side, carry + ease(down * 1.2)[:, None] * (goal - carry), turn=0.4, flex=0.1, grip=0.35 + 0.4 * (1 - down)
        )


@activity(0.8)
def squat(a: Actor) -> None:
    """Knee bends, the arms coming forward."""
    rng, t = a.rng, a.t
    down = cycles(a, 1.2, 2.4)
    a.root[:, 1] -= 0.012 + rng.uniform(0.25, 0.4) * down
    a.root[:, 2] -= 0.18 * down
    a.torso(tilt=0.45 * down, bend=0.25 * down)
    a.plant(rng.uniform(0.14, 0.22), splay=0.35)
    a.look(pitch=0.1, wide=0.25)
    for side in SIDES:
        forward = np.array([0.12, 0.22, 0.5])
        wrist = HANGING + down[:, None] * (forward - HANGING) + 0.01 * wander(rng, t, 1.5, 3)
        a.arm(side, wrist, turn=0.5, grip=0.4)


@activity(0.6)
def lunge(a: Actor) -> None:
    """One foot ahead, down and up."""
    rng, t = a.rng, a.t
    down = cycles(a, 1.4, 2.6)
    a.root[:, 1] -= 0.06 + 0.32 * down
    lead = rng.choice([-1.0, 1.0])
    a.root[:, 2] += 0.03 * wander(rng, t, 3)
    a.torso(tilt=0.1, bend=0.1 * down, twist=0.1 * wander(rng, t, 3))
    ankles = {}
    for side, s in SIDES.items():
        ahead = s == lead
        heel = 0.0 * t if ahead else 0.7 + 0.35 * down
        R = about("X", heel)
        ball = np.array([s * 0.11, 0.0, BALL[2] + (0.38 if ahead else -0.5)])
        ankles[side] = (ball - R @ BALL, R)
    a.settle({side: ankle for side, (ankle, _) in ankles.items()})
    for side, (ankle, R) in ankles.items():
        a.leg(side, ankle, R, np.broadcast_to(np.eye(3), R.shape))
    a.look(pitch=0.1, wide=0.3)
    for side in SIDES:
        arm_rest(a, side)


# ---- sitting --------------------------------------------------------------------------------------------------------


@activity(2.5)
def desk_type(a: Actor) -> None:
    """Type and use the mouse."""
    rng, t = a.rng, a.t
    seat = sit(a, lean=rng.uniform(0.05, 0.3), look=0.3)
    top = table(a, seat + rng.uniform(0.2, 0.26), edge=rng.uniform(0.2, 0.28))
    far = rng.uniform(0.38, 0.46)
    mouse = ease(0.5 + 0.9 * wander(rng, t, 3))
    for side in SIDES:
        busy = 1 - mouse if side == "r" else 1.0
        x = 0.11 + 0.02 * wander(rng, t, 0.8) + (0.16 * mouse if side == "r" else 0)
        wrist = on_table(a, side, top, x, far + 0.015 * wander(rng, t, 0.7), 0.012 + 0.006 * wander(rng, t, 0.4) * busy)
        a.arm(
            side,
            wrist,
            turn=1.2,
            flex=-0.15 + 0.06 * wander(rng, t, 0.35) * busy,
            deviate=-0.1,
            swivel=0.25,
            grip=0.4 + 0.06 * wander(rng, t, 0.3),
        )


@activity(2.5)
def desk_work(a: Actor) -> None:
    """Move things about on a table: reach, grasp, write."""
    rng, t = a.rng, a.t
    seat = sit(a, lean=0.2 + 0.12 * wander(rng, t, 3), look=0.4)
    top = table(a, seat + rng.uniform(0.2, 0.26), edge=0.24)
    for side in SIDES:
        way = visits(rng, t, box(rng, [-0.05, 0.0, 0.33], [0.4, 0.0, 0.62]), (0.2, 1.4), rng.uniform(0.5, 1.0))
        speed = np.linalg.norm(np.gradient(way, 1 / a.fps, axis=0), axis=1) if a.frames > 2 else np.zeros(a.frames)
        lift = 0.015 + 0.12 * np.clip(speed, 0, 1) + 0.01 * (1 + np.tanh(wander(rng, t, 0.8)))
        wrist = on_table(a, side, top, way[:, 0], way[:, 2], lift)
        a.arm(
            side,
            wrist,
            turn=0.8 + 0.35 * wander(rng, t, 1.5),
            flex=0.1 + 0.15 * wander(rng, t, 1),
            swivel=0.15,
            grip=0.45 + 0.3 * wander(rng, t, 1.3),
        )


@activity(1.5)
def eat(a: Actor) -> None:
    """At a table: a hand goes from the plate to the mouth."""
    rng, t = a.rng, a.t
    seat = sit(a, lean=0.2, look=0.35)
    top = table(a, seat + rng.uniform(0.2, 0.26), edge=0.24)
    side, other = side_of(a)
    plate = on_table(a, side, top, 0.08, 0.4, 0.05 + 0.01 * (1 + np.tanh(wander(rng, t, 0.6))))
    wrist, up = to_face(a, side, plate, [0.1, 0.32, 0.22], 0.6, (0.3, 0.7), (0.8, 2.5))
    a.arm(side, wrist, turn=0.8 - 1.3 * up, flex=0.1 + 0.4 * up, swivel=0.15 + 0.2 * up, grip=0.7)
    in_hand(a, "tool", side, (0.16, 0.012, 0.02), (0.14, -0.03, 0.03))
    a.arm(other, on_table(a, other, top, 0.16 + 0.02 * wander(rng, t, 2), 0.36, 0.01), turn=0.7, flex=0.1, grip=0.5)


@activity(1.5)
def drink(a: Actor) -> None:
    """A cup goes to the mouth and down again."""
    rng, t = a.rng, a.t
    seated = rng.random() < 0.6
    (sit if seated else stand)(a, look=0.15)
    side, other = side_of(a)
    low = np.array([0.14, -0.06, 0.3]) + 0.01 * wander(rng, t, 1.5, 3)
    if seated:
        top = table(a, edge=0.26)
        low = on_table(a, side, top, 0.2, 0.42, 0.03 + 0.004 * wander(rng, t, 1))
    wrist, up = to_face(a, side, low, [0.1, 0.31, 0.22], 0.9, (0.8, 2.0), (1.0, 3.5))
    a.arm(
        side, wrist, turn=-0.05 + 0.35 * up, flex=0.05 + 0.15 * up, deviate=0.25 * up, swivel=0.1 + 0.35 * up, grip=0.6
    )
    in_hand(a, "cup", side, (0.075, 0.075, 0.1), (0.09, -0.05, 0.02))
    if seated:
        a.arm(
            other,
            above(a, other, np.tile([0.14, -0.22, 0.32], (a.frames, 1)) + 0.01 * wander(rng, t, 2, 3), top),
            turn=0.9,
            grip=0.3,
        )
    else:
        arm_rest(a, other)


@activity(1.2)
def sit_relaxed(a: Actor) -> None:
    """On a chair with the hands in the lap or on the thighs."""
    rng, t = a.rng, a.t
    seat = sit(a, lean=-0.05, look=0.1)
    together = rng.random() < 0.5
    for side in SIDES:
        place = np.array([0.07, 0, 0.2]) if together else np.array([0.15, 0, 0.32])
        lap = a.world_to_chest(
            side, np.stack([SIDES[side] * place[0] + 0 * t, seat + 0.2 + 0 * t, place[2] + 0 * t], -1)
        )
        a.arm(side, lap + 0.006 * wander(rng, t, 2, 3), turn=0.8, flex=0.15, swivel=0.05, grip=0.3)


@activity(1.2)
def sit_talk(a: Actor) -> None:
    """On a chair, talking with the hands or reaching about."""
    sit(a, lean=0.1, look=0.1)
    for side in SIDES:
        (arm_gesture if a.rng.random() < 0.7 else arm_reach)(a, side)


@activity(1.2)
def sit_down_and_up(a: Actor) -> None:
    """Sit down on a chair and stand up from it."""
    rng, t = a.rng, a.t
    seat = rng.uniform(0.42, 0.5)
    down = ease((cycles(a, 3.6, 5.2) - 0.1) / 0.65)  # all the way, from wherever the cycles begin and end
    back = 0.4
    a.root[:, 1] += down * (seat + 0.09 - HIP_HEIGHT) - 0.012
    a.root[:, 2] -= back * ease(down * 1.15)
    between = np.sin(np.pi * down)
    a.torso(
        yaw=0.04 * wander(rng, t, 4),
        tilt=0.42 * between - 0.1 * down,
        bend=0.3 * between + 0.12 * down,
        twist=0.06 * wander(rng, t, 3),
    )
    a.plant(rng.uniform(0.1, 0.16), splay=0.2)
    a.look(pitch=0.2)
    a.props.append(Prop("seat", (0.44, 0.05, 0.42), (0.0, seat - 0.025, -back + 0.02)))
    for side in SIDES:
        knee = a.world_to_chest(
            side, np.stack([SIDES[side] * 0.16 + 0 * t, seat + 0.2 + 0 * t, -back + 0.32 + 0 * t], -1)
        )
        rest = HANGING + 0.01 * wander(rng, t, 2, 3)
        a.arm(side, rest + down[:, None] * (knee - rest), turn=0.4 + 0.4 * down, grip=0.3)


# ---- on the floor ---------------------------------------------------------------------------------------------------


@activity(1.0)
def kneel(a: Actor) -> None:
    """On both knees, working with the hands before the body."""
    rng, t = a.rng, a.t
    low = ease(0.5 + 0.8 * wander(rng, t, 4)) * rng.choice([0.0, 1.0])  # sitting back on the heels
    a.root[:, 1] = 0.49 - 0.16 * low
    a.root[:, 2] -= 0.36 * low
    lean = 0.1 + 0.25 * np.clip(wander(rng, t, 3), 0, 2)
    a.torso(tilt=0.4 * lean, bend=0.6 * lean + 0.15 * low, twist=0.1 * wander(rng, t, 3))
    for side, s in SIDES.items():
        foot = np.broadcast_to(about("X", 2.4), (a.frames, 3, 3))
        ankle = np.tile([s * 0.11, 0.115, -0.38], (a.frames, 1))
        a.leg(side, ankle, foot, pole=np.tile([s * 0.1, -0.3, 1.0], (a.frames, 1)))
    a.look(pitch=0.4)
    for side in SIDES:
        wrist = above(a, side, visits(rng, t, box(rng, [0.0, -0.35, 0.25], [0.35, 0.1, 0.5]), (0.1, 1.0)), 0.0, 0.12)
        a.arm(
            side,
            wrist,
            turn=0.6 + 0.4 * wander(rng, t, 1.8),
            flex=-0.2 + 0.2 * wander(rng, t, 1.2),
            grip=0.4 + 0.3 * wander(rng, t, 1.5),
        )


@activity(0.6)
def lie(a: Actor) -> None:
    """On the back, knees up or legs stretched, hands over the chest, or with a phone."""
    rng, t = a.rng, a.t
    a.root[:, 1] = 0.11
    a.torso(tilt=-1.5, bend=0.12 + 0.03 * wander(rng, t, 4), twist=0.05 * wander(rng, t, 4))
    a.head(0.25 * wander(rng, t, 3), 0.3 + 0.1 * wander(rng, t, 3), 0.0)
    for side, s in SIDES.items():
        bent = rng.uniform(0.4, 0.55) if rng.random() < 0.5 else 0.82
        foot = about("X", np.full(a.frames, -0.05 if bent < 0.6 else -1.2)) @ about("Y", s * 0.2)
        ankle = np.tile([s * rng.uniform(0.1, 0.18), 0.085 if bent < 0.6 else 0.07, bent], (a.frames, 1))
        a.leg(side, ankle + 0.004 * wander(rng, t, 3, 3), foot, pole=np.tile([s * 0.15, 1.0, 0.0], (a.frames, 1)))
    if rng.random() < 0.4:
        hold_phone(a)
        return
    for side in SIDES:
        arm_reach(a, side, box(rng, [0.0, -0.2, 0.22], [0.3, 0.3, 0.5]), speed=0.6)


# ---- getting about --------------------------------------------------------------------------------------------------


def travel(a: Actor, style: Style, speed: tuple[float, float], cadence, curve: float = 0.35) -> np.ndarray:
    """Go along a winding path; returns the phase of the gait. ``cadence`` gives cycles a second from metres a second."""
    rng = a.rng
    base, bias = rng.uniform(*speed), 0.15 * rng.normal()
    change, winding = waves(rng, 5), waves(rng, 6)
    pace = lambda t: base * (1 + 0.2 * change(t)).clip(0.3, 1.5)
    bearing = lambda t: curve * (winding(t) - winding(np.zeros(1)) + bias * t)
    path = Path.along(a.t[-1], pace, bearing, lambda t: cadence(pace(t)))
    phase = walk_legs(a, path, style, width=rng.uniform(0.05, 0.09))
    a.look()
    return phase


@activity(3.0)
def walk(a: Actor) -> None:
    """Walk along a winding path, arms swinging."""
    rng = a.rng
    style = Style(
        swing=rng.uniform(0.1, 0.28),
        bob=rng.uniform(0.012, 0.022),
        crouch=rng.uniform(0.01, 0.03),
        lean=rng.uniform(0, 0.1),
    )
    swing_arms(a, travel(a, style, (0.6, 1.6), lambda v: 0.6 + 0.3 * v), style)


RUN = Style(
    stance=0.36,
    bob=0.035,
    bob_sign=-1,
    lift=0.2,
    kick=0.1,
    strike=0.12,
    push=0.8,
    crouch=0.06,
    lean=0.16,
    swing=0.22,
    elbow=1.0,
)


@activity(1.0)
def jog(a: Actor) -> None:
    """Run along a winding path."""
    swing_arms(a, travel(a, RUN, (1.8, 3.2), lambda v: 1.1 + 0.1 * v, 0.25), RUN)


@activity(1.0)
def run_in_place(a: Actor) -> None:
    """Run without getting anywhere."""
    rng = a.rng
    style = replace(
        RUN,
        lift=rng.uniform(0.12, 0.35),
        kick=rng.uniform(-0.15, 0.25),
        strike=0.0,
        push=0.5,
        lean=0.08,
        swing=rng.uniform(0.12, 0.22),
    )
    rate = rng.uniform(1.1, 1.6)
    path = Path.along(a.t[-1], lambda t: 0 * t, lambda t: 0 * t, lambda t: rate + 0 * t)
    phase = walk_legs(a, path, style, width=0.09)
    a.look()
    swing_arms(a, phase, style)


@activity(1.2)
def stairs(a: Actor) -> None:
    """Climb or descend a straight flight, one foot on each step."""
    rng = a.rng
    rise, tread = rng.uniform(0.14, 0.19), rng.uniform(0.26, 0.31)
    rate = rng.uniform(0.6, 0.9)  # cycles a second, two steps each
    up = rng.random() < 0.5
    count = max(int(2 * rate * a.t[-1]) - 2, 2)
    first = 2.0  # the half cycle whose foot lands on the first step
    level = lambda k: np.clip(np.round(k) - first + 1, 0, count) * rise
    height = level if up else lambda k: count * rise - level(k)
    style = Style(
        stance=0.6,
        bob=0.01,
        lift=0.07,
        strike=0.0 if up else -0.25,
        push=0.5,
        crouch=0.03,
        lean=0.16 if up else 0.04,
        swing=rng.uniform(0.05, 0.15),
    )
    path = Path.along(a.t[-1], lambda t: 2 * tread * rate + 0 * t, lambda t: 0 * t, lambda t: rate + 0 * t)
    phase = walk_legs(a, path, style, width=0.08, height=height)
    a.look(pitch=0.35, wide=0.2)
    swing_arms(a, phase, style)
    # Footfall k stands in the middle of its step, that is the middle of its sole.
    at = lambda k: (
        np.interp((k + style.stance) / 2, path.phase, path.centre[:, 1])
        + ADVANCE
        + (HEEL + OFFSETS[INDEX["toe_r"]] + TIP)[2] / 2
    )
    for k in range(count):
        top = height(first + k)
        if top > 0.01:
            a.props.append(Prop("step", (1.1, float(top), tread), (0.0, float(top) / 2, float(at(first + k)))))
    landing = (first + count, 1.2) if up else (first - 1, -1.2)
    top, middle = float(count * rise), float(at(landing[0]) + landing[1] / 2 - np.sign(landing[1]) * tread / 2)
    a.props.append(Prop("step", (1.1, top, 1.2), (0.0, top / 2, middle)))


# ---- a choice -------------------------------------------------------------------------------------------------------

#: Legs that do not mind what the arms do, and arms that are at home on any of them.
CARRIERS = ("walk", "stand_idle", "stairs", "jog", "look_around", "sit_relaxed", "kneel", "lunge")
LAYERS = ("talk", "reach", "bimanual_work", "wave", "clap", "fold_arms", "phone", "read_paper", "play_ball", "stretch")


def random_activity(rng: np.random.Generator, seconds: float, fps: float) -> Motion:
    """An activity by WEIGHTS; four of ten wear the arms of another for a while or all of the time."""
    if rng.random() < 0.4:
        legs, arms = rng.choice(CARRIERS), rng.choice(LAYERS)
        base, other = ACTIVITIES[legs](rng, seconds, fps), ACTIVITIES[arms](rng, seconds, fps)
        t = np.arange(len(base)) / fps
        always = rng.random() < 0.5
        start, stop = (-1.0, seconds + 1.0) if always else np.sort(rng.uniform(-1, seconds + 1, 2)) + [0, 1.2]
        return replace(with_arms(base, other, window(t, start, stop)), source=f"{legs}+{arms}")
    names = list(ACTIVITIES)
    weights = np.array([WEIGHTS[name] for name in names])
    return ACTIVITIES[names[rng.choice(len(names), p=weights / weights.sum())]](rng, seconds, fps)
