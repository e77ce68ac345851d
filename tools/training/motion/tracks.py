"""Whole tracks of real errors, beside those that the noise model draws: joints err together in ways that no matrix has.

A track is one rendered recording's errors without their pull (``noise.py``), and its confidences. Laid over a simulated
person, it gives keypoints that are wrong as real ones are: for seconds, in several joints, in one direction.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from egostream.files import replacing
from tools.training.motion.noise import CLASSES, LEGS, PICTURE, PULLED, NoiseModel, into_picture, suggest
from tools.training.motion.seen import Seen
from tools.training.motion.simulate import OTHER_SIDE

#: Share of sequences that get tracks; how often legs come of another recording; spread of sizes; strength of the pull.
TRACKED, MIXED_LEGS, SIZE_SPREAD, PULLS = 0.7, 0.3, 0.2, (0.6, 2.2)


@dataclass(frozen=True)
class Tracks:
    """Errors of R recordings of F frames."""

    rest: np.ndarray  # float16 [R, F, 15, 2] canonical pixels, beside the pull
    confidence: np.ndarray  # float16 [R, F, 15]

    def draw(self, rng: np.random.Generator, count: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Errors [B, L, 15, 2] and confidences [B, L, 15]: parts of tracks, half of them mirrored, half backwards."""
        recordings, total = self.rest.shape[:2]
        span = np.arange(frames)
        start = rng.integers(0, max(total - frames, 0) + 1, (count, 1))
        places = np.minimum(start + np.where(rng.random((count, 1)) < 0.5, span, span[::-1]), total - 1)
        which = rng.integers(0, recordings, (count, 1))
        rest, confidence = self.rest[which, places].astype("f4"), self.confidence[which, places].astype("f4")
        legs = np.where(rng.random((count, 1)) < MIXED_LEGS, rng.integers(0, recordings, (count, 1)), which)
        rest[:, :, LEGS] = self.rest[legs, places][:, :, LEGS]
        confidence[:, :, LEGS] = self.confidence[legs, places][:, :, LEGS]
        is_mirrored = rng.random(count) < 0.5
        rest[is_mirrored] = rest[is_mirrored][:, :, OTHER_SIDE] * np.array([-1, 1], "f4")
        confidence[is_mirrored] = confidence[is_mirrored][:, :, OTHER_SIDE]
        return rest * np.exp(SIZE_SPREAD * rng.standard_normal((count, 1, 1, 1))).astype("f4"), confidence


@dataclass(frozen=True)
class TrackedNoise:
    """A noise model, most of whose sequences get tracks instead of drawn errors. Called as the model is."""

    model: NoiseModel
    tracks: Tracks

    def __call__(
        self, rng: np.random.Generator, keypoints: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints [B, L, 15, 2] as the heatmap network would see them, and their confidences [B, L, 15]."""
        noisy, confidence = self.model(rng, keypoints, distance)
        is_tracked = rng.random(len(keypoints)) < TRACKED
        place, _ = into_picture(keypoints[is_tracked])
        rest, sure = self.tracks.draw(rng, len(place), keypoints.shape[1])
        strength = rng.uniform(*PULLS, (len(place), 1, 1, 1)).astype("f4")
        share = np.array(self.model.pull, "f4")[np.digitize(sure[:, :, PULLED], CLASSES)][..., None]
        moved = place + rest
        moved[:, :, PULLED] += np.clip(strength * share, 0, 1) * (
            suggest(self.model.suggestion, place) - place[:, :, PULLED]
        )
        noisy[is_tracked] = np.clip(moved, PICTURE[0], PICTURE[1] - 1)
        confidence[is_tracked] = sure
        return noisy, confidence


def tracks_of(seen: list[Seen], model: NoiseModel) -> Tracks:
    """The tracks of recordings, cut to the shortest one's length. model: whose pull is taken off."""
    frames = min(len(one.joints) for one in seen)
    rest = []
    for one in seen:
        place, _ = into_picture(one.true_keypoints[:frames])
        error = one.keypoints[:frames] - place
        share = np.array(model.pull, "f4")[np.digitize(one.confidence[:frames, PULLED], CLASSES)][..., None]
        error[:, PULLED] -= share * (suggest(model.suggestion, place) - place[:, PULLED])
        rest.append(error)
    confidence = np.stack([one.confidence[:frames] for one in seen])
    return Tracks(np.stack(rest).astype(np.float16), confidence.astype(np.float16))


def save_tracks(path: Path, tracks: Tracks) -> None:
    """Write tracks whole. Raises OSError."""
    with replacing(path) as draft, open(draft, "wb") as file:
        np.savez_compressed(file, rest=tracks.rest, confidence=tracks.confidence)


def load_tracks(path: Path) -> Tracks:
    """The tracks in a file. Raises EgostreamError when it holds none."""
    try:
        with np.load(path) as stored:
            return Tracks(stored["rest"], stored["confidence"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise EgostreamError(f"{path} holds no tracks ({error}). Make some: python tools/fit_noise.py --help") from None
