"""All invented activities: what hands do before a head-mounted camera, on legs that stand, sit or walk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.synthetic.movement import sitting, standing, walking
from tools.synthetic.movement.activity import Activity
from tools.synthetic.movement.actor import window
from tools.synthetic.movement.movement import Movement, with_arms

#: Every activity by its name. The order decides what a seed draws: a new activity goes to the end.
ACTIVITIES: dict[str, Activity] = {
    activity.name: activity
    for activity in (
        standing.stand_idle,
        standing.talk,
        standing.look_around,
        standing.reach,
        standing.bimanual_work,
        standing.play_ball,
        standing.wave,
        standing.clap,
        standing.fold_arms,
        standing.hands_on_hips,
        standing.stretch,
        standing.phone,
        standing.read_paper,
        standing.bend_forward,
        standing.crouch_and_pick,
        standing.squat,
        standing.lunge,
        sitting.desk_type,
        sitting.desk_work,
        sitting.eat,
        sitting.drink,
        sitting.sit_relaxed,
        sitting.sit_talk,
        sitting.sit_down_and_up,
        sitting.kneel,
        sitting.lie,
        walking.walk,
        walking.jog,
        walking.run_in_place,
        walking.stairs,
    )
}

#: Legs that do not mind what the arms do, and arms that are at home on any of them.
CARRIERS = ("walk", "stand_idle", "stairs", "jog", "look_around", "sit_relaxed", "kneel", "lunge")

LAYERS = ("talk", "reach", "bimanual_work", "wave", "clap", "fold_arms", "phone", "read_paper", "play_ball", "stretch")


def random_activity(rng: np.random.Generator, seconds: float, fps: float) -> Movement:
    """An activity by their weights; four of ten wear the arms of another for a while or all of the time."""
    if rng.random() < 0.4:
        legs, arms = rng.choice(CARRIERS), rng.choice(LAYERS)
        base, other = ACTIVITIES[legs](rng, seconds, fps), ACTIVITIES[arms](rng, seconds, fps)
        t = np.arange(len(base)) / fps
        always = rng.random() < 0.5
        start, stop = (-1.0, seconds + 1.0) if always else np.sort(rng.uniform(-1, seconds + 1, 2)) + [0, 1.2]
        return replace(with_arms(base, other, window(t, start, stop)), source=f"{legs}+{arms}")
    names = list(ACTIVITIES)
    weights = np.array([ACTIVITIES[name].weight for name in names])
    return ACTIVITIES[names[rng.choice(len(names), p=weights / weights.sum())]](rng, seconds, fps)
