"""Activities low down: on a chair or at a table, kneeling, and lying on the floor."""

from __future__ import annotations

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
from tools.synthetic.movement.activity import activity
from tools.synthetic.movement.actor import SIDES, Actor, ease, visits, wander
from tools.synthetic.movement.movement import Prop
from tools.synthetic.movement.rotations import about
from tools.synthetic.movement.segments import HIP_HEIGHT


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
