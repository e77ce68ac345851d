"""Frames of several streams run together: splitting into batch sizes, bound arrays, stage durations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from egostream.engine.contract import Engine, EngineManifest
from egostream.types import NetworkInput, Stage

#: Frames that are run together, each with the number of its stream.
Batch = list[tuple[int, NetworkInput]]
#: Engines of one graph by batch size, one of them 1.
EnginesBySize = dict[int, tuple[Engine, EngineManifest]]
#: An engine with the arrays that it reads its inputs from, by batch size.
BoundEngines = dict[int, tuple[Engine, dict[str, np.ndarray]]]
One = TypeVar("One")


def bound(engines: EnginesBySize) -> BoundEngines:
    """Each engine with new arrays that it reads its inputs from."""
    runners = {}
    for size, (engine, manifest) in engines.items():
        inputs = {name: np.zeros(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()}
        engine.bind(inputs)
        runners[size] = engine, inputs
    return runners


def chunks(waiting: list[One], sizes: Iterable[int]) -> Iterator[list[One]]:
    """A list in pieces, each as large as the sizes allow; 1 is among them."""
    while waiting:
        size = max(size for size in sizes if size <= len(waiting))
        yield waiting[:size]
        waiting = waiting[size:]


def is_finite(values: np.ndarray) -> bool:
    """Whether all values are numbers. What made others must not be kept: one NaN would spoil every pose after it."""
    return bool(np.isfinite(values).all())


class Lap:
    """Fills a frame's durations, each stage from the end of the one before."""

    def __init__(self, frame: NetworkInput):
        """Begin now. What the frame waited since it left the ring (for others, for a batch before) is hand-over."""
        self.t_ns, self.stages_ns = time.monotonic_ns(), dict(frame.stages_ns)
        if Stage.HANDOVER in self.stages_ns:
            self.stages_ns[Stage.HANDOVER] += self.t_ns - frame.t_done_ns

    def end(self, stage: Stage) -> None:
        """The stage ends now."""
        now = time.monotonic_ns()
        self.stages_ns[stage] = now - self.t_ns
        self.t_ns = now


def end_all(laps: list[Lap], stage: Stage) -> None:
    """The stage ends now for all frames of a batch."""
    for lap in laps:
        lap.end(stage)
