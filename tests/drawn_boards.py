"""Boards before known lenses of several models: corners projected with noise, and pictures rendered ray by ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from egostream.calibration.kannala_brandt import KannalaBrandtLens

SQUARE = 0.025  # metres
Radius = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DrawnLens:
    """A lens that knows nothing of egostream's models: r = focal * radius(theta), seen up to ``limit_deg``."""

    name: str
    focal: float
    center: tuple[float, float]
    size: tuple[int, int]
    radius: Radius
    limit_deg: float = 95.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3]; not a number beyond the lens's limit."""
        x, y, z = np.moveaxis(points, -1, 0)
        n = np.hypot(x, y)
        theta = np.arctan2(n, z)
        scale = np.where(n > 1e-12, self.focal * self.radius(theta) / np.maximum(n, 1e-12), 0.0)
        pixels = np.stack([scale * x + self.center[0], scale * y + self.center[1]], -1)
        return np.where((theta <= np.radians(self.limit_deg))[..., None], pixels, np.nan)

    @property
    def circle(self) -> tuple[float, float, float] | None:
        """The lens circle, when most of it lies in the picture."""
        r = float(self.focal * self.radius(np.radians(self.limit_deg)))
        return (*self.center, r) if r < 0.55 * self.size[0] else None


def kannala_brandt(*k: float) -> Radius:
    return lambda theta: theta * (1 + sum(one * theta ** (2 * n + 2) for n, one in enumerate(k)))


def equisolid(theta: np.ndarray) -> np.ndarray:
    return 2 * np.sin(theta / 2)


def stereographic(theta: np.ndarray) -> np.ndarray:
    return 2 * np.tan(theta / 2)


def double_sphere(xi: float, alpha: float) -> Radius:
    """Usenko et al., 3DV 2018, equations 40 to 45; scaled to a slope of 1 on the axis."""

    def radius(theta: np.ndarray) -> np.ndarray:
        x, z = np.sin(theta), np.cos(theta)
        d = np.hypot(x, xi + z)
        return x / (alpha * d + (1 - alpha) * (xi + z)) * (1 + xi)

    return radius


#: Eight lenses with focal lengths from 0.2 to 0.8 of the width, of four models.
EIGHT = [
    DrawnLens("kannala-brandt 0.20", 256.0, (644.0, 505.0), (1280, 1024), kannala_brandt(0.02, -0.006, 0.001, -0.0002)),
    DrawnLens("equisolid 0.25", 320.0, (632.0, 517.0), (1280, 1024), equisolid),
    DrawnLens("kannala-brandt 0.30", 288.0, (484.0, 381.0), (960, 768), kannala_brandt(-0.03, 0.01, -0.004, 0.0005)),
    DrawnLens("double sphere 0.35", 448.0, (640.0, 478.0), (1280, 960), double_sphere(-0.2, 0.55)),
    DrawnLens("stereographic 0.42", 420.0, (493.0, 379.0), (1000, 750), stereographic),
    DrawnLens("double sphere 0.50", 640.0, (660.0, 350.0), (1280, 720), double_sphere(-0.1, 0.6)),
    DrawnLens("equisolid 0.65", 832.0, (630.0, 530.0), (1280, 1024), equisolid),
    DrawnLens("kannala-brandt 0.80", 1536.0, (950.0, 545.0), (1920, 1080), kannala_brandt(0.04, 0.03, -0.02, 0.005)),
]


def board_points(columns: int = 9, rows: int = 6) -> np.ndarray:
    """Inner corners [N, 3] of a chessboard, metres."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3) * SQUARE


def turn(vector: np.ndarray) -> np.ndarray:
    return cv2.Rodrigues(np.asarray(vector, float))[0]


def board_pose(rng, towards_deg: float, tilt_deg: float, distance: float, points: np.ndarray):
    """Rotation and translation of a board whose middle lies ``towards_deg`` from the axis, in any direction."""
    theta, phi = np.radians(towards_deg), rng.uniform(0, 2 * np.pi)
    across = np.array([-np.sin(phi), np.cos(phi), 0])
    tilt = np.radians(rng.uniform(-tilt_deg, tilt_deg, 2))
    rotation = turn(across * theta) @ turn([*tilt, 0]) @ turn([0, 0, rng.uniform(-np.pi, np.pi)])
    sight = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    return rotation, sight * distance - rotation @ points.mean(0)


def corner_sets(
    lens: DrawnLens, rng, count: int = 24, within_deg: float = 180, towards_deg: float | None = None,
    tilt_deg: float = 50, noise: float = 0.2, points: np.ndarray | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Corner pixels [N, 2] of ``count`` boards that lie wholly in the picture and ``within_deg`` of the axis.

    towards_deg: how far from the axis the middles of boards are at most; all over the view by default.
    """
    points = board_points() if points is None else points
    sets: list[np.ndarray] = []
    furthest = min(within_deg, lens.limit_deg) if towards_deg is None else towards_deg
    low, high = np.full(2, 3.0), np.array(lens.size) - 4.0
    for _ in range(200_000):
        distance = rng.uniform(0.6, 1.5) * np.ptp(points[:, 0]) * max(1, 2 * lens.focal / lens.size[0])
        rotation, translation = board_pose(rng, rng.uniform(0, furthest), tilt_deg, distance, points)
        in_camera = points @ rotation.T + translation
        theta_deg = np.degrees(np.arctan2(np.hypot(*in_camera[:, :2].T), in_camera[:, 2]))
        pixels = lens.project(in_camera)
        is_faced = (in_camera @ rotation[:, 2] > 0.02).all()
        if is_faced and theta_deg.max() <= within_deg and ((pixels > low) & (pixels < high)).all():
            sets.append(pixels + rng.normal(0, noise, pixels.shape))
            if len(sets) == count:
                return sets
    raise AssertionError(f"{lens.name}: no room for {count} boards")


def view_rays(lens: DrawnLens, reach_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Rays [n, 3] of points all over the picture within ``reach_deg`` of the axis, and their angles in degrees [n]."""
    u, v = np.meshgrid(np.linspace(0, lens.size[0] - 1, 81), np.linspace(0, lens.size[1] - 1, 61))
    theta = np.radians(np.arange(0, lens.limit_deg, 0.1))
    offset = np.stack([u, v], -1).reshape(-1, 2) - lens.center
    r = np.hypot(*offset.T)
    angle = np.interp(r, lens.focal * lens.radius(theta), theta, right=np.inf)
    offset, r, angle = (part[angle <= np.radians(reach_deg)] for part in (offset, r, angle))
    side = offset / np.maximum(r, 1e-9)[:, None] * np.sin(angle)[:, None]
    return np.concatenate([side, np.cos(angle)[:, None]], -1), np.degrees(angle)


@dataclass(frozen=True)
class Errors:
    """Distances between a fitted lens's pixels and the true ones: the median, and the greatest near the rim covered.

    ``plain`` as they are; ``turned`` after the best turn of the camera. A shift of the optical centre is nearly a turn,
    and no picture of a board shows how the camera sits in its housing.
    """

    plain: tuple[float, float]
    turned: tuple[float, float]


def projection_errors(lens: DrawnLens, fitted: KannalaBrandtLens, reach_deg: float) -> Errors:
    """How far a fitted lens is off within ``reach_deg`` of the axis, in the picture."""
    rays, angles_deg = view_rays(lens, reach_deg)
    truth = lens.project(rays)
    u, _, vt = np.linalg.svd(fitted.unproject(truth)[0].T @ rays)  # Kabsch's turn of rays onto the fitted lens's rays
    parts = []
    for turned in (rays, rays @ (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T):
        off = np.linalg.norm(fitted.project(turned)[0] - truth, axis=-1)
        parts.append((float(np.median(off)), float(off[angles_deg >= 0.95 * reach_deg].max())))
    return Errors(*parts)


def true_rays(lens: DrawnLens, finer: int) -> np.ndarray:
    """Rays [H finer, W finer, 3] of a lens's picture, ``finer`` of them along each pixel; not a number beyond it."""
    u, v = (np.arange(side * finer) / finer - (finer - 1) / (2 * finer) for side in lens.size)
    offset = np.stack(np.meshgrid(u, v), -1) - lens.center
    theta = np.linspace(0, np.radians(lens.limit_deg), 4000)
    r = np.hypot(offset[..., 0], offset[..., 1])
    angle = np.interp(r, lens.focal * lens.radius(theta), theta, right=np.nan)
    return np.concatenate([offset * (np.sin(angle) / np.maximum(r, 1e-9))[..., None], np.cos(angle)[..., None]], -1)


def rendered(
    rays: np.ndarray, finer: int, texture: np.ndarray, pixels_per_metre: float, corner: tuple[float, float],
    pose: tuple[np.ndarray, np.ndarray], blur: float = 0.7,
) -> np.ndarray:  # fmt: skip
    """A grey picture of a flat texture whose first pixel lies at ``corner`` (x, y) metres on the board."""
    rotation, translation = pose
    origin, towards = -rotation.T @ translation, rays @ rotation
    with np.errstate(divide="ignore", invalid="ignore"):
        far = -origin[2] / towards[..., 2]
        x, y = (((origin[n] + far * towards[..., n]) - corner[n]) * pixels_per_metre - 0.5 for n in (0, 1))
    hit = (far > 0) & np.isfinite(x)
    place = [np.where(hit, one, -10).clip(-10, 1e5).astype(np.float32) for one in (x, y)]
    image = cv2.remap(texture, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=110)
    image = np.where(np.isfinite(rays[..., 2]), image, 0).astype(np.uint8)
    height, width = image.shape
    image = cv2.resize(image, (width // finer, height // finer), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(image, (0, 0), blur)


def chessboard_texture(columns: int, rows: int, square_px: int = 40) -> np.ndarray:
    """A chessboard with so many inner corners and a white margin; the first inner corner lies at (2, 2) squares."""
    y, x = np.mgrid[0 : (rows + 3) * square_px, 0 : (columns + 3) * square_px] // square_px
    on_board = (x >= 1) & (x <= columns + 1) & (y >= 1) & (y <= rows + 1)
    return np.where(on_board & ((x + y) % 2 == 0), 25, 230).astype(np.uint8)


def board_pictures(
    lens: DrawnLens, rng, count: int, texture: np.ndarray, unit_px: int, points: np.ndarray, finer: int = 2
):
    """Pictures of a board: ``unit_px`` pixels of the texture are SQUARE metres, and points [N, 3] lie on it."""
    rays = true_rays(lens, finer)
    while count:
        distance = rng.uniform(0.8, 1.4) * np.ptp(points[:, 0])
        pose = board_pose(rng, rng.uniform(0, 75), 40, distance, points)
        in_camera = points @ pose[0].T + pose[1]
        pixels = lens.project(in_camera)
        if (in_camera @ pose[0][:, 2] > 0.02).all() and ((pixels > 12) & (pixels < np.array(lens.size) - 13)).all():
            count -= 1
            corner = (points[:, 0].min() - 2 * SQUARE, points[:, 1].min() - 2 * SQUARE)
            yield rendered(rays, finer, texture, unit_px / SQUARE, corner, pose), pixels


def tag_texture(columns: int, rows: int, turns: int = 0, upwards: bool = True, border_bits: int = 2) -> np.ndarray:
    """A grid of AprilTags of 40 pixels with gaps of 12 and black squares between them, as Kalibr prints it.

    The first tag's corner lies at (2, 2) tags. turns: quarter turns of every tag; upwards: ids count from below.
    """
    side, gap = 40, 12
    width, height = (count * (side + gap) - gap + 4 * side for count in (columns, rows))
    texture = np.full((height, width), 255, np.uint8)
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    for row in range(rows):
        for column in range(columns):
            number = (rows - 1 - row if upwards else row) * columns + column
            marker = cv2.aruco.generateImageMarker(dictionary, number, side, borderBits=border_bits)
            y, x = 2 * side + row * (side + gap), 2 * side + column * (side + gap)
            texture[y : y + side, x : x + side] = np.rot90(marker, turns)
            for dy in (-gap, side):
                for dx in (-gap, side):
                    texture[y + dy : y + dy + gap, x + dx : x + dx + gap] = 0
    return texture


def tag_corners(columns: int, rows: int) -> np.ndarray:
    """Corners [rows * columns * 4, 3] of the tags of ``tag_texture`` on the board, metres."""
    step = SQUARE * 52 / 40
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * SQUARE
    places = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 1, 2) * step
    flat = (places + corner).reshape(-1, 2)
    return np.concatenate([flat, np.zeros((len(flat), 1))], -1)
