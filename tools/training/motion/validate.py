"""Rendered recordings through the heatmaps: to learn from, and as batches to validate on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from egostream.told import TOLD
from tools.data.datasets import read_data
from tools.data.sequence import Sequence
from tools.training.motion.noise import rays_of
from tools.training.motion.recorded import Recorded, check
from tools.training.motion.seen import Seen, load_seen, save_seen, see
from tools.training.motion.simulate import STEP_S


@dataclass(frozen=True)
class Looking:
    """How recordings are looked at: what was seen is kept, and taken from there the next time."""

    weights: str  # folder whose heatmaps look; empty: the shipped one
    out: Path  # folder that keeps it
    restart: bool  # look anew
    console: Console

    def at(self, recordings: dict[str, Sequence], kept: str) -> list[Seen]:
        """Recordings through the heatmaps. kept: name of the file that keeps them."""
        weights = resolve_weights(RunConfig(weights=self.weights))
        path, names = self.out / kept, [f"{weights.id}, {name}" for name in recordings]
        if path.is_file() and not self.restart and (found := load_seen(path, names)) is not None:
            return found
        shown = track(recordings.values(), f"looking at {len(recordings)} recordings", console=self.console)
        seen = see(weights, shown, lambda line: self.console.print(line, markup=False))
        self.out.mkdir(parents=True, exist_ok=True)
        save_seen(path, names, seen)
        return seen


def rendered_batches(data: list[str], split: str, looking: Looking) -> list[dict[str, torch.Tensor]]:
    """A batch of every recording of a split of some data sets, which should have the trained step's rate.

    Raises EgostreamError when there is no recording.
    """
    recordings = by_name(data, split)
    if not recordings:
        raise EgostreamError(f"--data has no recordings of split {split}. Try another --split")
    return [batch_of(one) for one in looking.at(recordings, "seen.npz")]


def recorded_people(data: list[str], frames: int, looking: Looking) -> Recorded:
    """The train split of some data sets, to learn sequences of so many frames from.

    Raises EgostreamError for recordings that will not do.
    """
    recordings = by_name(data, "train")
    check(list(recordings.values()), (frames - 1) * STEP_S)
    return Recorded(list(recordings.values()), looking.at(recordings, "recorded.npz"))


def by_name(specs: list[str], split: str) -> dict[str, Sequence]:
    """All recordings of a split of some data sets, by names that no other has."""
    return {f"{spec}: {one.name}": one for spec in specs for one in read_data(spec, split)}


def batch_of(seen: Seen) -> dict[str, torch.Tensor]:
    """One recording as a batch of one sequence, nothing told."""
    frames = len(seen.joints)
    arrays = {
        "rays": rays_of(seen.keypoints),
        "confidence": seen.confidence,
        "told": np.zeros((frames, TOLD), np.float32),
        "joints": seen.joints,
        "valid": np.ones(frames, bool),
    }
    return {name: torch.from_numpy(array)[None] for name, array in arrays.items()}
