"""Which corners and pictures the joint fit throws out: judged with every picture in the fit's own best pose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from egostream.errors import EgostreamError
from tools.calibration.fit import EVERYTHING, Fit, best_fit, posed_apart, refined
from tools.calibration.views import Views

#: A corner is out beyond this many standard deviations, and beyond LEAST_OUT_PX. In Gaussian noise 8 deviations come
#: once in 1e14 corners; real corners have heavier tails (blur, a board that is not flat), and stay.
OUT_DEVIATIONS = 8.0
LEAST_OUT_PX = 1.5
#: A picture is out when less than this share of its corners stays: what is left then fits by chance.
LEAST_SHARE = 0.5
LEAST_CORNERS = 6  # a pose takes six numbers from a corner's two; see poses.py
MOST_ROUNDS = 8
RAYLEIGH_MEDIAN = 1.1774  # the median length of a two-dimensional Gaussian error, in its deviations along one axis


@dataclass(frozen=True)
class Kept:
    """A fit of what was kept. ``fit`` has a pose for every view, also for those that were thrown out.

    corners [V, N]: which corners count. offs [V]: each picture's root mean square error, pixels:
    over the corners that count, or over all of a picture that does not.
    """

    fit: Fit
    views: Views
    corners: np.ndarray
    offs: np.ndarray

    @property
    def pictures(self) -> np.ndarray:
        """Which pictures count [V]."""
        return np.any(self.corners, axis=-1)

    def inside(self) -> tuple[Fit, Views]:
        """The fit and the views of what was kept only."""
        return self.fit.of(self.pictures), self.views.only(self.corners).of(self.pictures)

    @property
    def share(self) -> float:
        """Part of all corners that were kept."""
        return float(self.corners.sum() / max(self.views.has.sum(), 1))


def fit_robustly(views: Views, starts: Iterable) -> Kept:
    """The fit of all that agrees with it. Raises EgostreamError when no start gives a fit at all."""
    fit = best_fit(views, starts)
    if fit is None:
        raise EgostreamError("no lens fits these pictures: the corners lie on no flat board. Check --corners")
    kept = judged(fit, views)
    for _ in range(MOST_ROUNDS):
        if not kept.corners.any():
            break
        inner, inside = kept.inside()
        inner = refined(inner, inside, EVERYTHING)
        again = judged(posed_apart(with_poses(kept.fit, inner, kept.pictures), views), views)
        is_same = np.array_equal(again.corners, kept.corners)
        kept = again
        if is_same:
            break
    return kept


def with_poses(whole: Fit, part: Fit, chosen: np.ndarray) -> Fit:
    """The part's lens with its poses where they are chosen, else those that the whole had."""
    rotations, translations = whole.rotations.copy(), whole.translations.copy()
    rotations[chosen], translations[chosen] = part.rotations, part.translations
    return Fit(part.lens, rotations, translations)


def judged(fit: Fit, views: Views) -> Kept:
    """What of the views agrees with a fit."""
    off = np.linalg.norm(fit.errors(views), axis=-1)
    spread = float(np.median(off[views.has])) / RAYLEIGH_MEDIAN
    corners = views.has & (off <= max(OUT_DEVIATIONS * spread, LEAST_OUT_PX))
    enough = corners.sum(-1) >= np.maximum(LEAST_SHARE * views.has.sum(-1), LEAST_CORNERS)
    counted = np.where(enough[:, None], corners, views.has)
    offs = np.sqrt((np.square(off) * counted).sum(-1) / np.maximum(counted.sum(-1), 1))
    return Kept(fit, views, corners & enough[:, None], offs)
