"""Rendered recordings as the heatmap network sees them: keypoints and confidences beside what is true."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

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
