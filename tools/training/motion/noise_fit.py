"""Fitting the noise model to rendered recordings of people whom the heatmap network never saw."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import nnls
from scipy.special import ndtri

from egostream.skeleton import JOINT_COUNT
from tools.training.motion.noise import (
    CLASSES,
    LEAST_CONFIDENCE,
    LEGS,
    LEVELS,
    MOST_CONFIDENCE,
    PULLED,
    UPPER,
    WHILE,
    Lasting,
    NoiseModel,
    features,
    into_picture,
    suggest,
)
from tools.training.motion.seen import Seen

LAGS = (1, 2, 4, 8, 15)  # frames over which the processes' shares are fitted
FEWEST = 60  # errors that a joint's own table of a class is made of; with fewer, all joints' serves
RIDGE = 1e-3


def fit_noise(seen: list[Seen], clean: np.ndarray, fitted_on: str) -> NoiseModel:
    """The model of some recordings. clean: true keypoints [..., 15, 2] of simulated people, for what is suggested.

    fitted_on: words for the file.
    """
    suggestion = fit_suggestion(into_picture(clean)[0].reshape(-1, JOINT_COUNT, 2))
    places = [into_picture(one.true_keypoints) for one in seen]
    groups = [np.digitize(one.confidence, CLASSES) for one in seen]
    errors = [one.keypoints - place for one, (place, _) in zip(seen, places)]
    towards = [np.zeros_like(error) for error in errors]
    for way, (place, _) in zip(towards, places):
        way[:, PULLED] = suggest(suggestion, place) - place[:, PULLED]
    pull = fit_pull(np.concatenate(errors), np.concatenate(towards), np.concatenate(groups))
    share = np.array(pull)
    rest = [error - share[group][..., None] * way for error, way, group in zip(errors, towards, groups)]
    radius = radius_tables(np.concatenate(rest), np.concatenate(groups))
    confidence, spread, residuals = fit_confidence(seen, places)
    return NoiseModel(
        fitted_on=fitted_on,
        confidence=confidence.tolist(),
        confidence_spread=spread.tolist(),
        confidence_process=fit_process([one[..., None] for one in residuals]),
        suggestion=suggestion.tolist(),
        pull=pull,
        radius=radius.tolist(),
        error_process=fit_process([latent(one, group, radius) for one, group in zip(rest, groups)]),
    )


def fit_suggestion(place: np.ndarray) -> np.ndarray:
    """The matrix [20, 11] that ``suggest`` takes, by least squares over places [N, 15, 2]."""
    upper = (place[:, UPPER].reshape(len(place), -1) - 640) / 512
    known = np.concatenate([upper, np.ones((len(place), 1))], 1)
    wanted = (place[:, PULLED].reshape(len(place), -1) - 640) / 512
    return ridge(known, wanted).T


def ridge(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares [features, outputs], held small where the data says little."""
    return np.linalg.solve(known.T @ known + RIDGE * len(known) * np.eye(known.shape[1]), known.T @ wanted)


def fit_pull(errors: np.ndarray, towards: np.ndarray, groups: np.ndarray) -> list[float]:
    """Share of the way to the suggestion by class of confidence, of legs.

    errors and towards [N, 15, 2]; groups [N, 15].
    """
    legs = list(LEGS)
    shares = []
    for k in range(len(CLASSES) + 1):
        chosen = groups[:, legs] == k
        error, way = errors[:, legs][chosen], towards[:, legs][chosen]
        near = np.linalg.norm(error, axis=-1) < 400  # a peak on the other leg or a table is no pull
        power = (way[near] ** 2).sum()
        shares.append(float(np.clip((error[near] * way[near]).sum() / power, 0, 1)) if near.sum() >= FEWEST else 0.0)
    return shares


def radius_tables(rest: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Radii [15, classes, levels] of errors [N, 15, 2] in classes [N, 15]."""
    size = np.linalg.norm(rest, axis=-1)
    tables = np.zeros((JOINT_COUNT, len(CLASSES) + 1, len(LEVELS)))
    for k in range(len(CLASSES) + 1):
        everybody = size[groups == k] if (groups == k).any() else size.ravel()
        for j in range(JOINT_COUNT):
            own = size[groups[:, j] == k, j]
            tables[j, k] = np.quantile(own if len(own) >= FEWEST else everybody, LEVELS)
    return tables


def fit_confidence(seen: list[Seen], places: list) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Weights [15, features] of the logit, its deviations [15], and what is left of each recording [F, 15], scaled."""
    known = [
        features(place, outside, np.linalg.norm(one.joints, axis=-1)) for one, (place, outside) in zip(seen, places)
    ]
    logits = [logit(one.confidence) for one in seen]
    every, wanted = np.concatenate(known), np.concatenate(logits)
    weights = np.stack([ridge(every[:, j], wanted[:, j]) for j in range(JOINT_COUNT)])
    left = [value - np.einsum("njf,jf->nj", given, weights) for value, given in zip(logits, known)]
    spread = np.concatenate(left).std(0)
    return weights, spread, [one / np.maximum(spread, 1e-3) for one in left]


def logit(confidence: np.ndarray) -> np.ndarray:
    """log (c / (1 - c)) of confidences, kept within those that the model gives."""
    c = np.clip(confidence, LEAST_CONFIDENCE, MOST_CONFIDENCE).astype(float)
    return np.log(c / (1 - c))


def latent(rest: np.ndarray, groups: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The Gaussian noise [F, 15, 2] that gives errors [F, 15, 2] of one recording: ``NoiseModel.errors`` undone."""
    size = np.linalg.norm(rest, axis=-1)
    level = np.empty_like(size)
    for j in range(JOINT_COUNT):
        for k in np.unique(groups[:, j]):
            rows = groups[:, j] == k
            level[rows, j] = np.interp(size[rows, j], radius[j, k], LEVELS)
    wanted = np.sqrt(-2 * np.log1p(-np.clip(level, 0.001, 0.999)))
    return rest / np.maximum(size, 1e-6)[..., None] * wanted[..., None]


def fit_process(tracks: list[np.ndarray]) -> Lasting:
    """The process of tracks [F, 15, size] of unit variance: shares by autocorrelation, joints by correlation."""
    values = np.concatenate([track.swapaxes(1, 2).reshape(-1, JOINT_COUNT) for track in tracks])
    values = normal_scores(values)
    correlation = np.corrcoef(values.T)
    power = np.mean(np.concatenate([track.ravel() for track in tracks]) ** 2)
    measured = [np.mean([(track[:-lag] * track[lag:]).mean() for track in tracks if len(track) > lag]) for lag in LAGS]
    wanted = np.array(measured) / power
    model = np.stack([np.ones(len(LAGS)), WHILE ** np.array(LAGS, float)], 1)
    lasting, slow = nnls(model, wanted)[0]
    scale = max(lasting + slow, 1.0)
    lasting, slow = lasting / scale, slow / scale
    return Lasting((float(lasting), float(slow), float(max(1 - lasting - slow, 0.0))), correlation.tolist())


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Values [N, 15] by their ranks, as a Gaussian has them: outliers do not decide a correlation."""
    ranks = values.argsort(0).argsort(0)
    return ndtri((ranks + 0.5) / len(values))


assert math.isclose(LEVELS[-1], 1)
