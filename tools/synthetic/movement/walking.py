"""Activities that go along on foot: walking, running and climbing stairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.synthetic.movement.activity import activity
from tools.synthetic.movement.actor import Actor, waves
from tools.synthetic.movement.gait import ADVANCE, Path, Style, swing_arms, walk_legs
from tools.synthetic.movement.movement import Prop
from tools.synthetic.movement.segments import HEEL, INDEX, OFFSETS, TIP


def travel(a: Actor, style: Style, speed: tuple[float, float], cadence, curve: float = 0.35) -> np.ndarray:
    """Go along a winding path; returns the phase of the gait [F]. ``cadence``: metres a second -> cycles a second."""
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
        step = float(height(first + k))
        if step > 0.01:
            a.props.append(Prop("step", (1.1, step, tread), (0.0, step / 2, float(at(first + k)))))
    landing = (first + count, 1.2) if up else (first - 1, -1.2)
    top, middle = float(count * rise), float(at(landing[0]) + landing[1] / 2 - np.sign(landing[1]) * tread / 2)
    a.props.append(Prop("step", (1.1, top, 1.2), (0.0, top / 2, middle)))
