"""What a person does in one recording: a captured clip or an invented activity, varied."""

from __future__ import annotations

import numpy as np

from tools.synthetic.movement.activities import random_activity
from tools.synthetic.movement.movement import Movement, crop, mirror, moved, ping_pong, retime, sampled, turn, with_arms

FPS = 30.0  # of invented movement; what is rendered is sampled from it


def choose_movement(rng: np.random.Generator, clips: list[Movement], captured: float, seconds: float) -> Movement:
    """A movement of at least ``seconds``: from ``clips`` with probability ``captured``, else invented.

    A captured one is sped up or slowed down, and its arms often do something else. Half of all are mirrored; all are
    turned at random.
    """
    if clips and rng.random() < captured:
        movement = stretch(rng, retime(clips[rng.integers(len(clips))], rng.uniform(0.8, 1.25)), seconds)
        if rng.random() < 0.4:
            movement = with_arms(
                movement, random_activity(rng, seconds, FPS), comings_and_goings(rng, len(movement), movement.fps)
            )
    else:
        movement = random_activity(rng, seconds + 0.5, FPS)
    if rng.random() < 0.5:
        movement = mirror(movement)
    return turn(moved(movement, movement.root[0] * (-1, 0, -1)), rng.uniform(-np.pi, np.pi))


def stretch(rng, movement: Movement, seconds: float) -> Movement:
    """A random part of ``seconds`` of a movement; one that is shorter runs forth and back."""
    wanted = int(np.ceil(seconds * movement.fps)) + 2
    if len(movement) >= wanted:
        start = int(rng.integers(0, len(movement) - wanted + 1))
        return crop(movement, start, start + wanted)
    return sampled(movement, ping_pong(len(movement), wanted).astype(float), movement.fps)


def comings_and_goings(rng, frames: int, fps: float) -> np.ndarray:
    """A smooth weight 0..1 [frames] that rises and falls every few seconds."""
    t = np.arange(frames) / fps
    wave = np.sin(2 * np.pi * t / rng.uniform(3, 8) + rng.uniform(0, 2 * np.pi)) + rng.uniform(-0.5, 1.2)
    return 1 / (1 + np.exp(-5 * wave))
