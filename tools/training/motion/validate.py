"""Rendered recordings through the heatmaps: to learn from, and as batches to validate on."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

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
from tools.training.motion.options import MotionOptions
from tools.training.motion.recorded import Recorded, check
from tools.training.motion.seen import Seen, load_seen, save_seen, see
from tools.training.motion.simulate import STEP_S


class Looks(Protocol):
    """What recordings are looked at by, and where that is kept."""

    @property
    def data(self) -> list[str]:
        """Data sets to validate on."""

    @property
    def split(self) -> str:
        """Of ``data``."""

    @property
    def weights(self) -> str:
        """Folder whose heatmaps look; empty: the shipped one."""

    @property
    def out(self) -> Path:
        """Folder that keeps what was seen."""

    @property
    def restart(self) -> bool:
        """Whether to look anew."""


def rendered_batches(options: Looks, console: Console) -> list[dict[str, torch.Tensor]]:
    """A batch of every recording of ``options.data``. Recordings should have the trained step's rate.

    Raises EgostreamError when there is no recording.
    """
    recordings = by_name(options.data, options.split)
    if not recordings:
        raise EgostreamError(f"--data has no recordings of split {options.split}. Try another --split")
    return [batch_of(one) for one in looked_at(recordings, "seen.npz", options, console)]


def recorded_people(options: MotionOptions, console: Console) -> Recorded:
    """The recordings of ``options.recordings`` to learn from. Raises EgostreamError for those that will not do."""
    recordings = by_name(options.recordings, "train")
    check(list(recordings.values()), (options.frames - 1) * STEP_S)
    return Recorded(list(recordings.values()), looked_at(recordings, "recorded.npz", options, console))


def by_name(specs: list[str], split: str) -> dict[str, Sequence]:
    """All recordings of a split of some data sets, by names that no other has."""
    return {f"{spec}: {one.name}": one for spec in specs for one in read_data(spec, split)}


def looked_at(recordings: dict[str, Sequence], kept: str, options: Looks, console: Console) -> list[Seen]:
    """Recordings through the heatmaps of ``options.weights``, from the run's file ``kept`` where it has them."""
    weights = resolve_weights(RunConfig(weights=options.weights))
    path, names = options.out / kept, [f"{weights.id}, {name}" for name in recordings]
    if path.is_file() and not options.restart and (found := load_seen(path, names)) is not None:
        return found
    shown = track(recordings.values(), f"looking at {len(recordings)} recordings", console=console)
    seen = see(weights, shown, lambda line: console.print(line, markup=False))
    options.out.mkdir(parents=True, exist_ok=True)
    save_seen(path, names, seen)
    return seen


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
