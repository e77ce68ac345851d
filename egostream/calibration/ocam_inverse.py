"""The polynomial world to camera of a lens of which only the other is known: camera to world."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.polynomial.polynomial import polyval

from egostream.calibration.lens import MAX_THETA
from egostream.calibration.ocam import OcamLens

#: Radii at which the known polynomial is looked at.
SAMPLES = 4000
#: The inverse is known well enough below this, pixels.
EXACT_PX = 1e-8
DEGREES = (6, 10, 14, 18, 22, 26, 30)
FITTED_RADII = 240  # eight for each coefficient; more change nothing
#: How far beyond the frame's corners the lens is described, in distances of the corner.
BEYOND_CORNER = 1.5
#: Where theta stops growing with the radius its inverse has no slope: the fit ends at this part of that radius.
BEFORE_FOLD = 0.98


def lens_of_rays(center: tuple[float, float], a: tuple[float, ...], size: tuple[int, int]) -> OcamLens:
    """The lens of rays (x, y, -sum_i a[i] r^i) with its inverse fitted.

    size: of the frame, pixels. The fit reaches beyond its corners, or to where the known polynomial folds.
    Raises ValueError when rays never leave the axis.
    """
    corners = np.array([[x, y] for x in (0, size[0]) for y in (0, size[1])], float) - center
    r = np.linspace(0, BEYOND_CORNER * np.hypot(*corners.T).max(), SAMPLES)
    theta = np.arctan2(r, -polyval(r, a))
    folded = np.flatnonzero(~((np.diff(theta) > 0) & (theta[1:] < MAX_THETA)))
    if folded.size:
        r = r[: int(folded[0] * BEFORE_FOLD) + 1]
    if len(r) < SAMPLES // 100:
        raise ValueError("its polynomial describes no lens: rays do not leave the axis")
    r = r[-1] * (1 - np.cos(np.linspace(0, np.pi, FITTED_RADII))) / 2  # dense at both ends, where polynomials err most
    theta = np.arctan2(r, -polyval(r, a))
    return OcamLens(*center, fitted(theta - np.pi / 2, r), a, end=float(theta[-1]))


def fitted(t: np.ndarray, r: np.ndarray) -> tuple[float, ...]:
    """Coefficients, low to high order, of the polynomial in t [n] that comes nearest r [n], pixels."""
    best, error = (0.0, 1.0), np.inf
    for degree in DEGREES:
        with warnings.catch_warnings(
            action="ignore", category=np.exceptions.RankWarning
        ):  # how good it is, is measured
            curve = Chebyshev.fit(t, r, degree).convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1])
        off = float(np.abs(polyval(t, curve.coef) - r).max())
        if off < error:
            best, error = tuple(curve.coef.tolist()), off
        if error < EXACT_PX:
            break
    return best
