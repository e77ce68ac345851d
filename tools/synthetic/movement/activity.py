"""One activity: a performance on an Actor, with its name and how often it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.synthetic.movement.actor import Actor
from tools.synthetic.movement.movement import Movement


@dataclass(frozen=True)
class Activity:
    """Something that people do. Called with a random generator, seconds and fps, it gives a Movement of that length."""

    name: str
    weight: float  # how often it is drawn, relative to the others
    perform: Callable[[Actor], None]  # sets everything on an Actor

    def __call__(self, rng: np.random.Generator, seconds: float, fps: float) -> Movement:
        """A movement of ``seconds`` at ``fps``; the generator decides everything about it."""
        actor = Actor(rng, seconds, fps)
        self.perform(actor)
        return actor.movement(self.name)


def activity(weight: float) -> Callable[[Callable[[Actor], None]], Activity]:
    """Make an Activity of the decorated performance, under the function's name."""
    return lambda perform: Activity(perform.__name__, weight, perform)
