"""Smoothing of joints as they come: the One Euro filter (Casiez, Roussel, Vogel, CHI 2012), trusting sure joints more.

A low-pass filter whose cutoff grows with speed: a joint that rests is held still, one that moves is let through. Here
the cutoff also shrinks with a joint's confidence: what the camera does not see is guessed anew from every frame, and
jumps.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from egostream.config import RunConfig, filter_name

#: Cutoff of the speed that the joints' cutoff grows with; the paper's value.
SPEED_CUTOFF_HZ = 1.0
#: Confidence from which a joint is trusted wholly, and the smallest factor of its cutoff. Chosen by hand with the
#: cutoff and beta of ``config``: on the test recordings the filter takes over a quarter off the acceleration error.
SURE_CONFIDENCE, LEAST_TRUST = 0.75, 0.15
Number = TypeVar("Number", float, np.ndarray)


def make_filter(config: RunConfig) -> OneEuroFilter | None:
    """The filter that a run's settings ask for; None for no smoothing."""
    if filter_name(config) != "one-euro":
        return None
    return OneEuroFilter(config.filter_cutoff_hz, config.filter_beta)


class OneEuroFilter:
    """Filters joints [J, 3] in metres by their capture time."""

    def __init__(self, cutoff_hz: float, beta: float):
        """cutoff_hz: of a joint at rest. beta: Hz that each metre per second adds."""
        self.cutoff_hz, self.beta = cutoff_hz, beta
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next joints come out as they are."""
        self.t_ns: int | None = None

    def __call__(self, t_ns: int, joints: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Smoothed joints [J, 3] of a frame captured at ``t_ns``; confidence [J] in 0..1."""
        if self.t_ns is None or t_ns <= self.t_ns:
            self.t_ns, self.joints, self.velocity = t_ns, joints.astype(float), np.zeros(joints.shape)
            return joints.copy()
        seconds = (t_ns - self.t_ns) / 1e9
        step = joints - self.joints
        self.velocity = self.velocity + new_value_weight(SPEED_CUTOFF_HZ, seconds) * (step / seconds - self.velocity)
        speed = np.linalg.norm(self.velocity, axis=-1)
        trust = np.clip(confidence / SURE_CONFIDENCE, LEAST_TRUST, 1.0)
        cutoff_hz = trust * (self.cutoff_hz + self.beta * speed)
        self.joints = self.joints + new_value_weight(cutoff_hz, seconds)[:, None] * step
        self.t_ns = t_ns
        return self.joints.astype(joints.dtype)


def new_value_weight(cutoff_hz: Number, seconds: float) -> Number:
    """Weight of a new value in a first-order low-pass filter, ``seconds`` after the last: 1 / (1 + 1 / (2 pi f t))."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * seconds))
