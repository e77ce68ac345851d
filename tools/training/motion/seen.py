"""Rendered recordings as the heatmap network sees them: keypoints and confidences beside what is true."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.files import replacing
from egostream.graph.weights import Weights
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.evaluation.predict import EnginePredictor, Frames


@dataclass(frozen=True)
class Seen:
    """One recording of F frames."""

    keypoints: np.ndarray  # float32 [F, 15, 2] canonical pixels, as the heatmaps have them
    confidence: np.ndarray  # float32 [F, 15]
    true_keypoints: np.ndarray  # float32 [F, 15, 2] canonical pixels
    joints: np.ndarray  # float32 [F, 15, 3] metres, camera axes


def see(
    weights: Weights,
    recordings: Iterable[Sequence],
    say: Callable[[str], None],
    tick: Callable[[], None] = lambda: None,
) -> list[Seen]:
    """Recordings through the heatmap graph of some weights, on the engine that a run would take.

    tick: called once a frame.
    """
    predictor, reader = EnginePredictor(weights, "auto", "auto", say), InputReader(weights.input)
    mapping = predictor.view.mapping
    found = []
    for recording in recordings:
        frames = Frames(recording, reader, recording.fps, tick=tick)
        peaks, heights = zip(*(predictor.estimator.look(image) for _, image in frames))
        truth = mapping.canonical_from_heatmap(reader.keypoints(recording))[frames.rows]
        arrays = (mapping.canonical_from_heatmap(np.array(peaks)), np.array(heights), truth)
        keypoints, confidence, true = (array.astype(np.float32) for array in arrays)
        found.append(Seen(keypoints, confidence, true, recording.joints[frames.rows]))
    return found


def save_seen(path: Path, names: list[str], seen: list[Seen]) -> None:
    """Keep what was seen of recordings of these names. Raises OSError."""
    columns = {f"{field}{k}": getattr(one, field) for k, one in enumerate(seen) for field in Seen.__annotations__}
    with replacing(path) as draft, open(draft, "wb") as file:
        np.savez(file, names=names, **columns)


def load_seen(path: Path, names: list[str]) -> list[Seen] | None:
    """What ``save_seen`` kept of recordings of these names; None where the file is of others, or damaged."""
    try:
        with np.load(path) as stored:
            if stored["names"].tolist() != names:
                return None
            return [Seen(*(stored[f"{field}{k}"] for field in Seen.__annotations__)) for k in range(len(names))]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
