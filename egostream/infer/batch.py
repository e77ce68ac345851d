"""Frames of several streams run together: splitting into batch sizes, bound arrays, stage durations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from egostream.engine.contract import Engine, EngineManifest
from egostream.types import NetworkInput


def bound(engines: dict[int, tuple[Engine, EngineManifest]]) -> dict[int, tuple[Engine, dict[str, np.ndarray]]]:
    """Each engine with arrays that it reads its inputs from."""
    runners = {}
    for size, (engine, manifest) in engines.items():
        runners[size] = engine, {name: np.zeros(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()}
        engine.bind(runners[size][1])
    return runners


def chunks(waiting: list, sizes: Iterable[int]) -> Iterator[list]:
    """A list in pieces, each as large as the sizes allow; 1 is among them."""
    while waiting:
        size = max(size for size in sizes if size <= len(waiting))
        yield waiting[:size]
        waiting = waiting[size:]


def is_finite(values: np.ndarray) -> bool:
    """Whether a pose is one. What made another must not be kept: no mask hides a NaN, it would spoil every pose after it."""
    return bool(np.isfinite(values).all())


def end_all(laps: list[Lap], stage: str) -> None:
    for lap in laps:
        lap.end(stage)


class Lap:
    """Fills a dict of stage durations, each from the end of the one before."""

    def __init__(self, t_ns: int, stages: dict[str, int]):
        self.t_ns, self.stages = t_ns, stages

    def end(self, stage: str) -> None:
        now = time.monotonic_ns()
        self.stages[stage] = now - self.t_ns
        self.t_ns = now


def lap_from(frame: NetworkInput) -> Lap:
    """Stages of a frame from now on: what it waited since it was taken from the ring (for others, for a batch before) is hand-over."""
    lap = Lap(time.monotonic_ns(), dict(frame.stages_ns))
    if "handover" in lap.stages:
        lap.stages["handover"] += lap.t_ns - frame.t_done_ns
    return lap
