"""Whether a fit may be written: what it leaves over, how far the board went, and how sure the lens is at the rim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tools.calibration.fit import (
    EVERYTHING,
    LENS_NUMBERS,
    Fit,
    derivatives,
    grows,
    normal_equations,
    refined,
    refined_poses,
)
from tools.calibration.reject import Kept
from tools.calibration.views import Views

Circle = tuple[float, float, float]  # centre u, v and radius, pixels
MIN_PICTURES = 8  # fewer hardly reach the corners of the view; chosen by hand, not measured
#: Root mean square errors above these are refused or warned of, in pixels of a picture 1000 wide. Three public sets of
#: real pictures leave 0.31 to 0.38; boards of a wrong count left 1.9 to 290.
REFUSED_RMS, WARNED_RMS = 1.5, 0.7
#: Parts of all corners that must agree with the fit. Real sets lose up to a twentieth; boards of a wrong count a third.
REFUSED_KEPT, WARNED_KEPT = 0.75, 0.95
#: Parts of the picture that the board must have reached. A board within 45 degrees of a lens of 90 reaches a quarter.
REFUSED_COVERED, WARNED_COVERED = 0.5, 0.85
#: Standard deviations of a pixel at the rim, pixels of a picture 1000 wide.
REFUSED_SIGMA, WARNED_SIGMA = 10.0, 2.0
#: Part by which fx / fy may differ from what the pixels' shape says. Real lenses: 0.003 or less.
REFUSED_ASPECT, WARNED_ASPECT = 0.03, 0.01
#: Held-out pictures are worse than fitted ones by about 1 + 1/n; by this factor, the lens has learnt its pictures.
WARNED_HELD_OUT = 1.6
FLAT_DEG = 15.0  # boards that lean less than this against the line of sight say little about the focal length
#: Without a lens circle in the pictures, the rim is no further out than this: what the network's view shows of a lens.
FURTHEST_RIM = np.radians(95)
FOLDS = 8


@dataclass(frozen=True)
class Judgement:
    """A fit with all by which it is judged. Angles in radians, errors in pixels.

    covariances: of fx, fy, cx, cy, k1..k4 [2, 8, 8], from the corners' errors and from leaving pictures out.
    rim: angle within which 98% of the picture lie; reach: of the corner furthest from the axis.
    covered: part of the picture within reach. tilt: median lean of the boards against the line of sight.
    refusals and warnings: sentences without a full stop; a fit with refusals is not written.
    """

    kept: Kept
    size: tuple[int, int]
    circle: Circle | None
    rms_px: float
    worst_px: float
    held_out_px: float = np.inf
    covariances: np.ndarray = field(default_factory=lambda: np.full((2, LENS_NUMBERS, LENS_NUMBERS), np.inf))
    reach: float = 0.0
    rim: float = 0.0
    covered: float = 0.0
    tilt: float = 0.0
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_wrong_board(self) -> bool:
        """Whether the corners agree with no lens, as those of a board of another count do."""
        unit = self.size[0] / 1000
        few = self.kept.pictures.sum() < MIN_PICTURES
        return bool(few or self.rms_px > REFUSED_RMS * unit or self.kept.share < REFUSED_KEPT)

    @property
    def lens(self) -> np.ndarray:
        """fx, fy, cx, cy, k1..k4 [8]."""
        return self.kept.fit.lens

    @cached_property
    def deviations(self) -> np.ndarray:
        """Standard deviations of fx, fy, cx, cy, k1..k4 [8]: the larger of both estimates."""
        return np.sqrt(np.maximum(np.diagonal(self.covariances, axis1=1, axis2=2), 0)).max(0)

    def sigma(self, angles: np.ndarray) -> np.ndarray:
        """Standard deviation of a ray's pixel at angles [n] from the axis, pixels [n]: the larger of both estimates."""
        return self.sigmas(angles).max(0)

    def sigmas(self, angles: np.ndarray) -> np.ndarray:
        """The same by each of ``covariances`` [2, n], in the worst direction around the axis.

        A turn of the whole camera is taken out: no picture of a board shows how the camera sits in its housing, and
        the optical centre is mostly such a turn.
        """
        around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        by_lens, by_turn = by_lens_and_turn(self.lens, directions(np.linspace(0.1, 1, 10) * self.reach, around))
        turn_for_lens = np.linalg.lstsq(by_turn.reshape(-1, 3), by_lens.reshape(-1, LENS_NUMBERS), rcond=None)[0]
        by_lens, by_turn = by_lens_and_turn(self.lens, directions(np.asarray(angles), around))
        by_lens = by_lens - by_turn @ turn_for_lens
        variance = np.einsum("...ij,cjk,...ik->c...", by_lens, self.covariances, by_lens)
        return np.sqrt(np.maximum(variance, 0)).max(-1)


def by_lens_and_turn(lens: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the pixels of rays [..., 3] by the lens [..., 2, 8], and by a turn of the rays [..., 2, 3]."""
    by_point, by_lens = derivatives(lens, rays)
    return by_lens, np.cross(rays[..., None, :], by_point)


def directions(angles: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Unit rays [A, B, 3] at angles [A] from the axis in directions [B] around it, radians."""
    theta, phi = np.meshgrid(angles, around, indexing="ij")
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


def judge(kept: Kept, size: tuple[int, int], circle: Circle | None = None, aspect: float = 1.0) -> Judgement:
    """The judgement of a fit for pictures of ``size`` (width, height).

    aspect: fx / fy of the camera, 1 for square pixels. circle: the lens circle, where it is seen.
    """
    fit, views = kept.inside()
    off = np.square(fit.errors(views)).sum(-1)
    reach = float(fit.angles(views).max(initial=0))
    angles = picture_angles(fit, size, circle)
    made = Judgement(
        kept,
        size,
        circle,
        rms_px=float(np.sqrt(off.sum() / max(views.has.sum(), 1))),
        worst_px=float(np.sqrt((off.sum(-1) / np.maximum(views.has.sum(-1), 1)).max(initial=0))),
        reach=reach,
        rim=float(np.quantile(angles, 0.98)) if len(angles) else reach,
        covered=float((angles <= reach).mean()) if len(angles) else 1.0,
        tilt=float(np.median(tilts(fit, views))) if len(views) else 0.0,
    )
    if len(views) < MIN_PICTURES:
        few = f"only {len(views)} of {len(kept.views)} pictures agree with one lens, {MIN_PICTURES} are needed"
        return replace(made, refusals=[few])
    lenses, held_out = folds(fit, views)
    apart = lenses - lenses.mean(0)
    left_out = (len(lenses) - 1) / len(lenses) * apart.T @ apart  # the jackknife's covariance
    made = replace(made, held_out_px=held_out, covariances=np.stack([covariance_of(fit, views), left_out]))
    if made.is_wrong_board:
        return replace(made, refusals=[wrong_board(made)])
    said = list(problems(made, aspect))
    return replace(
        made,
        refusals=[sentence for is_refusal, sentence in said if is_refusal],
        warnings=[sentence for is_refusal, sentence in said if not is_refusal],
    )


def covariance_of(fit: Fit, views: Views) -> np.ndarray:
    """Covariance of the lens's numbers [8, 8] from the errors that the fit leaves, whatever the poses are."""
    unknowns = LENS_NUMBERS + 6 * len(views)
    variance = np.square(fit.errors(views)).sum() / max(2 * views.has.sum() - unknowns, 1)
    matrix = normal_equations(fit, views, EVERYTHING, np.inf).reduced()[0]
    if not np.isfinite(matrix).all():
        return np.full_like(matrix, np.inf)
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
    inverse = (vectors / np.maximum(values, 1e-15)) @ vectors.T
    return variance * inverse * scale * scale[:, None]


def folds(fit: Fit, views: Views) -> tuple[np.ndarray, float]:
    """Lenses [F, 8] fitted without a part of the pictures each, and the held-out parts' error, pixels.

    Of a picture that is held out, only the pose is fitted.
    """
    lenses, squares = [], 0.0
    part = np.arange(len(views)) % min(FOLDS, len(views))
    for number in range(part.max() + 1):
        rest = refined(fit.of(part != number), views.of(part != number), EVERYTHING)
        held = views.of(part == number)
        posed = Fit(rest.lens, fit.rotations[part == number], fit.translations[part == number])
        squares += np.square(refined_poses(posed, held, np.inf).errors(held)).sum()
        lenses.append(rest.lens)
    return np.stack(lenses), float(np.sqrt(squares / views.has.sum()))


def picture_angles(fit: Fit, size: tuple[int, int], circle: Circle | None) -> np.ndarray:
    """Angles from the axis [n] of points spread over what the picture shows, radians.

    That is the lens circle where it is seen, else all that lies within FURTHEST_RIM.
    """
    step = max(size) / 100
    u, v = np.meshgrid(np.arange(0, size[0], step), np.arange(0, size[1], step))
    pixels = np.stack([u.ravel(), v.ravel()], -1)
    if circle:
        pixels = pixels[np.hypot(pixels[:, 0] - circle[0], pixels[:, 1] - circle[1]) <= circle[2]]
    rays, valid = fit.model.unproject(pixels)
    angles = np.where(valid, np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2]), np.inf)
    if not circle and fit.model.max_theta >= FURTHEST_RIM:
        return angles[angles <= FURTHEST_RIM]
    return np.minimum(angles, np.maximum(fit.model.max_theta, FURTHEST_RIM))


def tilts(fit: Fit, views: Views) -> np.ndarray:
    """Angles [V] between each board's normal and the line of sight to its middle, radians."""
    points = fit.in_camera(views)
    middle = (points * views.has[..., None]).sum(1) / views.has.sum(-1)[:, None]
    cosine = np.abs(np.einsum("vi,vi->v", fit.rotations[..., 2], middle)) / np.linalg.norm(middle, axis=-1)
    return np.arccos(np.clip(cosine, 0, 1))


def wrong_board(made: Judgement) -> str:
    """What is wrong when the corners agree with no lens."""
    what = f"the corners are {made.rms_px:.1f} px off the lens that fits best"
    if made.kept.share < REFUSED_KEPT:
        what = f"only {made.kept.share:.0%} of the corners agree with one lens"
    return f"{what}: the board is not the one that was named"


def problems(made: Judgement, aspect: float) -> Iterator[tuple[bool, str]]:
    """What is wrong, and whether it is too wrong for the fit to be written: True for a refusal."""
    unit = made.size[0] / 1000
    if made.rms_px > WARNED_RMS * unit:
        yield False, f"the corners are {made.rms_px:.2f} px off the lens that fits best: is the board flat, and sharp?"
    if made.kept.share < WARNED_KEPT:
        yield False, f"only {made.kept.share:.0%} of the corners agree with one lens"
    ratio = made.lens[0] / made.lens[1]
    if abs(ratio / aspect - 1) > WARNED_ASPECT:
        is_refusal = abs(ratio / aspect - 1) > REFUSED_ASPECT
        wanted = "which pixels of that shape do not" if aspect != 1 else "which square pixels do not"
        yield is_refusal, f"fx / fy is {ratio:.3f}, {wanted} (a camera that stretches its pictures: --aspect RATIO)"
    yield from rim_problems(made, unit)
    if made.held_out_px > WARNED_HELD_OUT * made.rms_px:
        yield False, f"pictures that were held out are {made.held_out_px:.2f} px off, fitted ones {made.rms_px:.2f}"


def rim_problems(made: Judgement, unit: float) -> Iterator[tuple[bool, str]]:
    """What is wrong with how far the lens is known."""
    reach_deg, rim_deg = np.degrees([made.reach, made.rim])
    if not grows(*made.kept.inside()):
        yield True, "the image radius stops growing among the corners, which no fisheye does"
    if made.covered < WARNED_COVERED:
        far = (
            f"the board went only {reach_deg:.0f} degrees from the axis, the picture goes to {rim_deg:.0f} by this fit"
        )
        yield made.covered < REFUSED_COVERED, f"{far}: show the board nearer to the picture's edge"
    from_errors, from_pictures = made.sigmas(np.array([made.rim]))[:, 0]
    sigma = max(from_errors, from_pictures)
    if not sigma <= WARNED_SIGMA * unit:
        flat = np.degrees(made.tilt) < FLAT_DEG
        more = "tilt the board" if flat else "show the board near the edge"
        known = f"{sigma:.1f}" if sigma < 10 else f"{sigma:.0f}" if sigma < 1000 else "more than 1000"
        # Where one picture alone sees the rim, the lens without it is far off there. The picture is there: a warning.
        yield (
            not from_errors <= REFUSED_SIGMA * unit,
            f"pixels {rim_deg:.0f} degrees from the axis are uncertain by {known} px: {more}",
        )
