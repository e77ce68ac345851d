"""Activities on planted feet: waiting, talking, reaching, holding things, bending down."""

from __future__ import annotations

import numpy as np

from tools.synthetic.movement.acting import (
    HANGING,
    arm_gesture,
    arm_reach,
    arm_rest,
    box,
    cycles,
    hold_phone,
    in_hand,
    side_of,
    sit,
    stand,
)
from tools.synthetic.movement.activity import activity
from tools.synthetic.movement.actor import SIDES, Actor, ease, visits, wander, window
from tools.synthetic.movement.rotations import about
from tools.synthetic.movement.segments import BALL


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
