"""Rendered recordings as batches to validate on: real heatmaps' keypoints instead of simulated ones."""

from __future__ import annotations

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from egostream.told import TOLD
from tools.data.datasets import read_data
from tools.training.motion.noise import rays_of
from tools.training.motion.options import MotionOptions
from tools.training.motion.seen import Seen, see


def rendered_batches(options: MotionOptions, console: Console) -> list[dict[str, torch.Tensor]]:
    """A batch of every recording of ``options.data``, through the heatmaps of ``options.weights``.

    Recordings are taken as they are: their rate should be the trained step's. What was seen is kept in the run folder.
    Raises EgostreamError when there is no recording.
    """
    kept = options.out / "seen.npz"
    if kept.is_file() and not options.restart:
        with np.load(kept) as stored:
            count = int(stored["count"])
            return [batch_of(Seen(*(stored[f"{name}{k}"] for name in Seen.__annotations__))) for k in range(count)]
    recordings = [one for spec in options.data for one in read_data(spec, options.split)]
    if not recordings:
        raise EgostreamError(f"--data has no recordings of split {options.split}. Try another --split")
    weights = resolve_weights(RunConfig(weights=options.weights))
    shown = track(recordings, "looking at recordings", console=console)
    seen = see(weights, shown, lambda line: console.print(line, markup=False))
    options.out.mkdir(parents=True, exist_ok=True)
    columns = {f"{name}{k}": getattr(one, name) for k, one in enumerate(seen) for name in Seen.__annotations__}
    np.savez(kept, count=len(seen), **columns)
    return [batch_of(one) for one in seen]


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
