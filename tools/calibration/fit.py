"""The joint fit of a Kannala-Brandt lens and the pose of the board in every picture.

Residuals are pixels through the lens's own polynomial in theta, so that corners at and beyond 90 degrees count as all
others. OpenCV's ``fisheye.calibrate`` works in tan(theta), and cannot use them. Each step solves the 8 numbers of the
lens first and each pose's 6 after it (Schur complement), so that a fit of 24 pictures takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import MAX_THETA
from tools.calibration.poses import board_pose, turned
from tools.calibration.views import Views

#: Focal lengths to start from, as parts of the width. Between neighbours lies a factor of 1.2; in 22 real pictures
#: every start from 0.2 to 0.5 of the width ended in the same lens.
START_FOCALS = (0.2, 0.24, 0.29, 0.35, 0.42, 0.5, 0.6, 0.7, 0.84)
#: Pixels: a corner further off than this counts by its distance, no more by the square of it (``soft_l1``).
LOSS_PIXELS = 1.0
START_STEPS, FINAL_STEPS = 40, 80
START_CORNERS = 40  # of each picture while starts are compared; all of them count afterwards
ENOUGH = 1e-9  # relative gain of a step below which a fit has ended
LEAST_DAMPING, MOST_DAMPING = 1e-12, 1e8
LENS_NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")
LENS_NUMBERS = len(LENS_NAMES)
#: What moves first: one focal length, and k1. The matrix gives the lens's eight numbers for each of them.
FIRST = np.array([[1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0]], float).T
EVERYTHING = np.eye(LENS_NUMBERS)
POSE_ONLY = np.zeros((LENS_NUMBERS, 0))


@dataclass(frozen=True)
class Fit:
    """A lens with the board's poses, fitted to views.

    lens: fx, fy, cx, cy, k1..k4 [8]. rotations [V, 3, 3] and translations [V, 3] take board to camera axes.
    cost: the sum that was made least, square pixels.
    """

    lens: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    cost: float = np.inf

    @property
    def model(self) -> KannalaBrandtLens:
        """The lens as egostream has it."""
        fx, fy, cx, cy, *k = map(float, self.lens)
        return KannalaBrandtLens(fx, fy, cx, cy, tuple(k))

    def in_camera(self, views: Views) -> np.ndarray:
        """The board's points in camera axes [V, N, 3]."""
        return views.points @ self.rotations.transpose(0, 2, 1) + self.translations[:, None]

    def errors(self, views: Views) -> np.ndarray:
        """Projected minus found pixels [V, N, 2]; 0 where a view has no corner."""
        off = pixels_of(self.lens, self.in_camera(views)) - views.pixels
        return np.where(views.has[..., None], off, 0.0)

    def angles(self, views: Views) -> np.ndarray:
        """Angles of the corners from the optical axis [V, N], radians; 0 where a view has no corner."""
        x, y, z = np.moveaxis(self.in_camera(views), -1, 0)
        return np.where(views.has, np.arctan2(np.hypot(x, y), z), 0.0)

    def of(self, chosen: np.ndarray) -> Fit:
        """The same lens with some views' poses: indices or a mask."""
        return replace(self, rotations=self.rotations[chosen], translations=self.translations[chosen])


def pixels_of(lens: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [..., 3] in camera axes -> pixels [..., 2].

    The same as ``KannalaBrandtLens.project``, also beyond where the radius stops growing: a fit may pass there.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    n = np.hypot(x, y)
    theta = np.arctan2(n, z)
    square = theta * theta
    k1, k2, k3, k4 = lens[4:]
    r = theta * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    scale = r / np.maximum(n, 1e-12)
    return np.stack([lens[0] * scale * x + lens[2], lens[1] * scale * y + lens[3]], -1)


def derivatives(lens: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the pixels of points [..., 3]: by the points [..., 2, 3], and by the lens [..., 2, 8]."""
    fx, fy = lens[:2]
    x, y, z = np.moveaxis(points, -1, 0)
    n = np.maximum(np.hypot(x, y), 1e-12)
    a, b = x / n, y / n
    theta = np.arctan2(n, z)
    square = theta * theta
    odd = np.stack([theta, theta * square, theta * square**2, theta * square**3, theta * square**4], -1)
    weights = np.concatenate([[1.0], lens[4:]])
    r = odd @ weights
    slope = (odd / np.maximum(theta, 1e-12)[..., None]) @ (weights * [1, 3, 5, 7, 9])
    distance = np.maximum(n * n + z * z, 1e-24)
    along, across, down = slope * z / distance, r / n, -slope * n / distance
    mixed = (along - across) * a * b
    by_point = np.empty((*r.shape, 2, 3))
    by_point[..., 0, 0], by_point[..., 0, 1], by_point[..., 0, 2] = along * a * a + across * b * b, mixed, down * a
    by_point[..., 1, 0], by_point[..., 1, 1], by_point[..., 1, 2] = mixed, along * b * b + across * a * a, down * b
    by_point *= np.array([[fx], [fy]])
    by_lens = np.zeros((*r.shape, 2, LENS_NUMBERS))
    by_lens[..., 0, 0], by_lens[..., 1, 1] = r * a, r * b
    by_lens[..., 0, 2] = by_lens[..., 1, 3] = 1
    by_lens[..., 0, 4:], by_lens[..., 1, 4:] = odd[..., 1:] * (fx * a)[..., None], odd[..., 1:] * (fy * b)[..., None]
    return by_point, by_lens


def costs_of(fit: Fit, views: Views, loss_pixels: float) -> np.ndarray:
    """Each view's sum of its corners' losses [V], square pixels."""
    return losses(np.square(fit.errors(views)).sum(-1), loss_pixels)[0].sum(-1)


def cost_of(fit: Fit, views: Views, loss_pixels: float) -> float:
    """Sum of the losses of all corners, square pixels."""
    return float(costs_of(fit, views, loss_pixels).sum())


def losses(squares: np.ndarray, loss_pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Loss and weight of squared errors: ``soft_l1`` of SciPy; plain squares for an infinite ``loss_pixels``."""
    if not np.isfinite(loss_pixels):
        return squares, np.ones_like(squares)
    root = np.sqrt(1 + squares / loss_pixels**2)
    return 2 * loss_pixels**2 * (root - 1), 1 / root


@dataclass(frozen=True)
class Normal:
    """A fit's normal equations in blocks: of the lens [M, M], of each pose [V, 6, 6], between them [V, 6, M]."""

    lens: np.ndarray
    pose: np.ndarray
    between: np.ndarray
    lens_side: np.ndarray  # [M]
    pose_side: np.ndarray  # [V, 6]

    def damped(self, damping: float | np.ndarray) -> Normal:
        """The same, with the diagonals grown by a share of themselves (Marquardt): one, or one per pose [V, 1]."""
        pose, lens = self.pose.copy(), self.lens.copy()
        diagonal = np.arange(6)
        pose[:, diagonal, diagonal] *= 1 + damping
        if len(lens):
            lens[np.diag_indices(len(lens))] *= 1 + damping
        return replace(self, pose=pose, lens=lens)

    def reduced(self) -> tuple[np.ndarray, np.ndarray]:
        """The lens's own equations when every pose is solved for it: matrix [M, M] and right side [M]."""
        for_poses = solved(self.pose, np.concatenate([self.between, self.pose_side[..., None]], -1))
        carried = np.einsum("vij,vik->jk", self.between, for_poses)
        return self.lens - carried[:, :-1], self.lens_side - carried[:, -1]

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps of the lens [M] and of the poses [V, 6]."""
        if not len(self.lens):
            return np.zeros(0), solved(self.pose, self.pose_side[..., None])[..., 0]
        matrix, side = self.reduced()
        if not np.isfinite(matrix).all():
            return np.full(len(self.lens), np.nan), np.full_like(self.pose_side, np.nan)
        scale = 1 / np.sqrt(np.maximum(np.diag(self.lens), 1e-300))
        step = scale * np.linalg.lstsq(matrix * scale * scale[:, None], side * scale, rcond=1e-15)[0]
        return step, solved(self.pose, (self.pose_side - self.between @ step)[..., None])[..., 0]


def solved(matrices: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Solutions [V, 6, n] of each pose's equations; not numbers where one has none, so that no step is taken."""
    try:
        return np.linalg.solve(matrices, sides)
    except np.linalg.LinAlgError:
        return np.full(sides.shape, np.nan)


def normal_equations(fit: Fit, views: Views, moves: np.ndarray, loss_pixels: float) -> Normal:
    """The equations of one Gauss-Newton step. ``moves`` [8, M]: what of the lens may move."""
    turned_points = views.points @ fit.rotations.transpose(0, 2, 1)
    in_camera = turned_points + fit.translations[:, None]
    by_point, by_lens = derivatives(fit.lens, in_camera)
    errors = np.where(views.has[..., None], views.pixels - pixels_of(fit.lens, in_camera), 0.0)
    weight = losses(np.square(errors).sum(-1), loss_pixels)[1] * views.has
    # A turn w of the board moves its point p by w x p, so that the derivative by w is cross(p, derivative by p).
    by_turn = np.cross(turned_points[..., None, :], by_point)
    flat = lambda array: array.reshape(len(array), 2 * array.shape[1], array.shape[-1])
    pose, lens = flat(np.concatenate([by_turn, by_point], -1)), flat(by_lens @ moves)
    root = np.sqrt(np.repeat(weight, 2, axis=-1))[..., None]
    pose, lens, side = pose * root, lens * root, errors.reshape(len(errors), -1, 1) * root
    pose_t, lens_t = np.swapaxes(pose, 1, 2), np.swapaxes(lens, 1, 2)
    return Normal(
        lens=(lens_t @ lens).sum(0),
        pose=pose_t @ pose + 1e-12 * np.eye(6),
        between=pose_t @ lens,
        lens_side=(lens_t @ side)[..., 0].sum(0),
        pose_side=(pose_t @ side)[..., 0],
    )


def stepped(fit: Fit, moves: np.ndarray, normal: Normal) -> Fit:
    """The fit after a step of the (damped) equations."""
    lens_step, pose_steps = normal.solve()
    return Fit(
        lens=fit.lens + moves @ lens_step,
        rotations=turned(pose_steps[:, :3]) @ fit.rotations,
        translations=fit.translations + pose_steps[:, 3:],
    )


def refined(
    fit: Fit, views: Views, moves: np.ndarray = EVERYTHING, loss_pixels: float = np.inf, steps: int = FINAL_STEPS
) -> Fit:
    """The fit moved to the least cost near it (Levenberg-Marquardt)."""
    damping = 1e-3
    fit = replace(fit, cost=cost_of(fit, views, loss_pixels))
    for _ in range(steps):
        normal = normal_equations(fit, views, moves, loss_pixels)
        before = fit.cost
        while damping <= MOST_DAMPING:
            with np.errstate(all="ignore"):
                tried = stepped(fit, moves, normal.damped(damping))
                tried = replace(tried, cost=cost_of(tried, views, loss_pixels))
            if tried.cost <= fit.cost and tried.lens[:2].min() > 0:
                fit, damping = tried, max(damping / 5, LEAST_DAMPING)
                break
            damping *= 4
        if before - fit.cost <= ENOUGH * before:
            break
    return fit


def posed_apart(fit: Fit, views: Views) -> Fit:
    """Each view's best pose for this lens as it is: from the pose that it has, or from its rays, whichever fits better.

    A picture that fell into a wrong pose while the lens was poor gets its chance again.
    """
    model = fit.model
    poses = [board_pose(views.points[v], *seen(model, views, v)) for v in range(len(views))]
    rotations = np.stack([pose[0] if pose else fit.rotations[v] for v, pose in enumerate(poses)])
    translations = np.stack([pose[1] if pose else fit.translations[v] for v, pose in enumerate(poses)])
    first = refined_poses(fit, views)
    second = refined_poses(replace(fit, rotations=rotations, translations=translations), views)
    is_better = costs_of(second, views, LOSS_PIXELS) < costs_of(first, views, LOSS_PIXELS)
    return chosen_poses(is_better, second, first)


def chosen_poses(is_first: np.ndarray, first: Fit, second: Fit) -> Fit:
    """The poses of the first fit where a mask [V] says so, else the second's."""
    return replace(
        second,
        rotations=np.where(is_first[:, None, None], first.rotations, second.rotations),
        translations=np.where(is_first[:, None], first.translations, second.translations),
    )


def refined_poses(fit: Fit, views: Views, loss_pixels: float = LOSS_PIXELS) -> Fit:
    """Every pose refined by itself, with a damping of its own, and the lens as it is."""
    damping, costs = np.full(len(views), 1e-3), costs_of(fit, views, loss_pixels)
    has_ended = np.zeros(len(views), bool)
    for _ in range(FINAL_STEPS):
        normal = normal_equations(fit, views, POSE_ONLY, loss_pixels)
        with np.errstate(all="ignore"):
            tried = stepped(fit, POSE_ONLY, normal.damped(damping[:, None]))
            tried_costs = costs_of(tried, views, loss_pixels)
        is_better = tried_costs <= costs
        has_ended |= (np.abs(costs - tried_costs) <= ENOUGH * costs) | (damping > MOST_DAMPING)
        fit, costs = chosen_poses(is_better, tried, fit), np.where(is_better, tried_costs, costs)
        damping = np.where(is_better, np.maximum(damping / 5, LEAST_DAMPING), damping * 4)
        if has_ended.all():
            break
    return fit


def seen(model: KannalaBrandtLens, views: Views, v: int) -> tuple[np.ndarray, np.ndarray]:
    """Rays [N, 3] of a view's corners, and which of them mean something [N]."""
    rays, valid = model.unproject(views.pixels[v])
    return rays, valid & views.has[v]


def equidistant_rays(pixels: np.ndarray, focal: float, center: tuple[float, float]) -> np.ndarray:
    """Rays [..., 3] of pixels [..., 2] with r = focal theta; what lies beyond MAX_THETA counts as if it lay there."""
    offset = (pixels - center) / focal
    r = np.hypot(offset[..., 0], offset[..., 1])
    theta = np.minimum(r, MAX_THETA)
    side = offset * (np.sin(theta) / np.maximum(r, 1e-12))[..., None]
    return np.concatenate([side, np.cos(theta)[..., None]], -1)


def started(views: Views, focal: float, center: tuple[float, float]) -> Fit | None:
    """A fit with r = focal theta and poses from the rays; None when a picture's corners lie on no plane."""
    rays = equidistant_rays(views.pixels, focal, center)
    poses = [board_pose(views.points[v], rays[v], views.has[v]) for v in range(len(views))]
    if any(pose is None for pose in poses):
        return None
    rotations, translations = (np.stack(parts) for parts in zip(*[pose for pose in poses if pose]))
    return Fit(np.array([focal, focal, *center, 0, 0, 0, 0], float), rotations, translations)


def fit_from(views: Views, focal: float, center: tuple[float, float]) -> Fit | None:
    """The robust fit reached from one start; None when the start gives no poses."""
    fit = started(views, focal, center)
    if fit is None:
        return None
    fit = refined(fit, views, FIRST, LOSS_PIXELS, START_STEPS)
    return refined(fit, views, EVERYTHING, LOSS_PIXELS, START_STEPS)


def best_fit(views: Views, starts: Iterable[tuple[float, tuple[float, float]]]) -> Fit | None:
    """The robust fit of least cost over starts of focal length and centre; None when no start gives one.

    A fit whose radius stops growing among the corners is taken only where no other is there.
    """
    few = views.thinned(START_CORNERS)
    fits = [fit for start in starts if (fit := fit_from(few, *start)) is not None]
    if not fits:
        return None
    best = refined(min(fits, key=lambda fit: (not grows(fit, few), fit.cost)), views, EVERYTHING, LOSS_PIXELS)
    again = refined(posed_apart(best, views), views, EVERYTHING, LOSS_PIXELS)
    return min(best, again, key=lambda fit: (not grows(fit, views), fit.cost))


def grows(fit: Fit, views: Views) -> bool:
    """Whether the lens's radius grows up to the corner furthest from the axis."""
    return float(fit.angles(views).max(initial=0)) <= fit.model.max_theta


def starts_of(size: tuple[int, int], circle: tuple[float, float, float] | None = None) -> list:
    """Starts for pictures of ``size`` (width, height): focal lengths with the picture's centre, or the lens circle's.

    circle: centre and radius of the lens circle in pixels, where it is seen. Half its angle is between 80 and 110
    degrees with nearly every fisheye that shows it.
    """
    middle = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    starts = [(part * size[0], middle) for part in START_FOCALS]
    if circle:
        starts += [(circle[2] / np.radians(angle), (circle[0], circle[1])) for angle in (80, 92, 105)]
    return starts
