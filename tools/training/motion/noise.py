"""How the heatmap network errs, as a model that simulated keypoints get their errors and confidences from.

Of joint j of a frame, with its true place p (brought into the picture) in canonical pixels:

    confidence   logit c = w_j . features(p, distance) + spread_j g_j
    pull         share(c) m (s_j - p), of legs and wrists: towards s_j, where the upper body suggests the joint to be
    error        of the rest: radius = quantile of a table by joint and confidence, direction as the noise n_j points

g and n are Gaussian, joints correlated, and made of three parts: one that lasts a recording, one that lasts a while
(first order), one that flickers. Errors last, they are larger where confidence is low, and hidden legs lie part of the
way to where legs usually are. ``noise_fit.py`` finds all numbers on rendered frames of people whom the heatmap network
never saw.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from egostream.calibration.file import canonical_calibration
from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.skeleton import JOINT_COUNT, JOINTS

#: Bounds between classes of confidence.
CLASSES = (0.3, 0.5, 0.65, 0.8, 0.9)
#: Shares of errors of which the tables have the radius.
LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0)
#: Joints that are suggested by others, and the joints that suggest them.
LEGS = tuple(range(7, JOINT_COUNT))
WRISTS = tuple(JOINTS.index(f"{side}_wrist") for side in ("right", "left"))
PULLED = (*WRISTS, *LEGS)
UPPER = tuple(JOINTS.index(name) for name in ("neck", "right_shoulder", "right_elbow", "left_shoulder", "left_elbow"))
WHILE = 0.8  # correlation from step to step of the part that lasts a while
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.03, 0.98
#: Between sequences, errors are larger or smaller: deviation of the logarithm; and the pull's random strength.
ERROR_SPREAD, PULLS = 0.15, (0.6, 1.6)
PICTURE = (np.array([128.0, 0.0]), np.array([1152.0, 1024.0]))  # of the crop, canonical pixels


class Lasting(msgspec.Struct, frozen=True):
    """A Gaussian process over frames: shares of variance that last, last a while and flicker, and how joints vary."""

    shares: tuple[float, float, float]
    correlation: list[list[float]]  # [15, 15]

    def draw(self, rng: np.random.Generator, count: int, frames: int, size: int) -> np.ndarray:
        """float32 [B, L, 15, size], of unit variance."""
        root = factor(np.array(self.correlation))
        white = lambda *shape: rng.standard_normal((*shape, size, JOINT_COUNT), np.float32) @ root.T
        lasting, flicker = white(count, 1), white(count, frames)
        slow = white(count, frames)
        for k in range(1, frames):
            slow[:, k] = WHILE * slow[:, k - 1] + (1 - WHILE**2) ** 0.5 * slow[:, k]
        parts = sum(share**0.5 * part for share, part in zip(self.shares, (lasting, slow, flicker)))
        return np.swapaxes(parts, -1, -2).astype(np.float32)


class NoiseModel(msgspec.Struct, frozen=True):
    """All numbers of the model."""

    fitted_on: str  # weights and data
    confidence: list[list[float]]  # [15, features] of ``features``, for the logit
    confidence_spread: list[float]  # [15] deviation of the logit
    confidence_process: Lasting
    suggestion: list[list[float]]  # [20, 11] of ``suggest``
    pull: list[float]  # share by class of confidence, of joints in PULLED
    radius: list[list[list[float]]]  # [15, classes, levels] canonical pixels
    error_process: Lasting

    def __call__(
        self, rng: np.random.Generator, keypoints: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints [B, L, 15, 2] as the heatmap network would see them, and their confidences [B, L, 15].

        keypoints: the true ones, canonical pixels; distance [B, L, 15] metres from the camera.
        """
        count, frames = keypoints.shape[:2]
        place, outside = into_picture(keypoints)
        logit = np.einsum("bljf,jf->blj", features(place, outside, distance), np.array(self.confidence, np.float32))
        latent = self.confidence_process.draw(rng, count, frames, 1)[..., 0]
        logit = logit + latent * np.array(self.confidence_spread, np.float32)
        sure = np.clip(1 / (1 + np.exp(-logit)), LEAST_CONFIDENCE, MOST_CONFIDENCE)
        group = np.digitize(sure, CLASSES)
        moved = place.copy()
        strength = rng.uniform(*PULLS, (count, 1, 1, 1)).astype(np.float32)
        pulled = list(PULLED)
        share = np.array(self.pull, np.float32)[group[..., pulled], None]
        moved[:, :, pulled] += np.clip(strength * share, 0, 1) * (suggest(self.suggestion, place) - place[:, :, pulled])
        moved += self.errors(rng, group)
        return np.clip(moved, PICTURE[0], PICTURE[1] - 1).astype(np.float32), sure.astype(np.float32)

    def errors(self, rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
        """Errors [B, L, 15, 2] of joints in these classes of confidence [B, L, 15]."""
        count, frames, _ = group.shape
        noise = self.error_process.draw(rng, count, frames, 2)
        size = np.linalg.norm(noise, axis=-1)
        level = 1 - np.exp(-(size**2) / 2)  # of a two-dimensional Gaussian's radius
        table = np.array(self.radius, np.float32)[np.arange(JOINT_COUNT), group]  # [B, L, 15, levels]
        k = np.clip(np.searchsorted(LEVELS, level, side="right") - 1, 0, len(LEVELS) - 2)
        low, high = (np.take_along_axis(table, (k + i)[..., None], -1)[..., 0] for i in (0, 1))
        levels = np.array(LEVELS)
        part = (level - levels[k]) / (levels[k + 1] - levels[k])
        scale = np.exp(ERROR_SPREAD * rng.standard_normal((count, 1, 1)))
        return noise / np.maximum(size, 1e-6)[..., None] * ((low + part * (high - low)) * scale)[..., None]


class Noise(Protocol):
    """What makes keypoints err: a noise model, or tracks beside one."""

    def __call__(
        self, rng: np.random.Generator, keypoints: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints and confidences, as of ``NoiseModel``."""
        ...


def factor(correlation: np.ndarray) -> np.ndarray:
    """A matrix R with R R^T = correlation; negative eigenvalues, which only rounding makes, are taken for 0."""
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def into_picture(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [..., 2] brought to the picture's nearest pixel, and how far outside they were [...], in its widths."""
    place = np.clip(np.where(np.isfinite(keypoints), keypoints, 1e4), PICTURE[0], PICTURE[1] - 1)
    away = np.linalg.norm(np.clip(keypoints, -2000, 3000) - place, axis=-1) / 1024
    return place.astype(np.float32), np.minimum(away, 0.5).astype(np.float32)


def features(place: np.ndarray, outside: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """What a confidence is predicted from [..., 9]: place [..., 2], how far outside [...], distance [...] metres."""
    x, y = np.moveaxis((place - (PICTURE[0] + 512)) / 512, -1, 0)
    one = np.ones_like(x)
    is_outside = (outside > 0).astype(x.dtype)
    return np.stack([one, x, y, x * x, y * y, x * y, is_outside, outside, np.minimum(distance, 2)], -1).astype(
        np.float32
    )


def suggest(matrix: list[list[float]] | np.ndarray, place: np.ndarray) -> np.ndarray:
    """Where the joints of PULLED are by the upper body's keypoints: place [..., 15, 2] -> [..., 10, 2] pixels."""
    flat = np.asarray(matrix, np.float32)  # [20, 11]
    upper = (place[..., UPPER, :].reshape(*place.shape[:-2], -1) - 640) / 512
    known = np.concatenate([upper, np.ones_like(upper[..., :1])], -1)
    return (known @ flat.T * 512 + 640).reshape(*place.shape[:-2], len(PULLED), 2)


def load_noise(path: Path) -> NoiseModel:
    """The model in a file. Raises EgostreamError when it cannot be read."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=NoiseModel)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EgostreamError(f"{path} is no noise model ({error}). Fit one: python tools/fit_noise.py --help") from None


def save_noise(path: Path, model: NoiseModel) -> None:
    """Write a model whole. Raises EgostreamError when the disk is full."""
    text = msgspec.json.encode(model, enc_hook=float)
    fields = json.loads(text, parse_float=lambda digits: round(float(digits), 4))
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
    write_whole(path, f"{{\n{lines}\n}}\n".encode())


def rays_of(keypoints: np.ndarray) -> np.ndarray:
    """Unit rays float32 [..., 3] of canonical pixels [..., 2], as ``CameraView.rays`` has them."""
    return canonical_calibration().lens.unproject(keypoints)[0].astype(np.float32)
