"""Augmentation that keeps the geometry true.

A rotation about the optical axis and a mirroring about the principal column are exact for a rotationally symmetric
lens: image, keypoints and joints move together. Everything else only changes pixel values.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.view import InputGeometry, InputMapping
from egostream.errors import EgostreamError
from egostream.skeleton import JOINTS

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Joint that each joint becomes when left and right change places.
MIRRORED = np.array(
    [
        JOINTS.index({"left": "right_", "right": "left_"}[side] + part if part else side)
        for side, _, part in (n.partition("_") for n in JOINTS)
    ]
)


@dataclass(frozen=True)
class Turn:
    """A rotation about the optical axis, after a mirroring left to right if ``mirror``."""

    angle: float = 0.0  # radians, from x towards y
    mirror: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """[2, 2], acting on x, y of camera axes and on pixels about the principal point alike."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if self.mirror else 1.0, 1.0])

    def order(self) -> np.ndarray:
        """Which joint each joint comes from, int [15]."""
        return MIRRORED if self.mirror else np.arange(len(JOINTS))


class Turner:
    """Applies turns to what the network of one input geometry sees. Raises EgostreamError for an asymmetric lens."""

    def __init__(self, geometry: InputGeometry):
        self.calibration = canonical_calibration(geometry.calibration)
        self.mapping = InputMapping(geometry.mapping, self.calibration.size)
        self.focal, self.principal = symmetric_axes(self.calibration)

    def pixel_matrix(self, turn: Turn) -> np.ndarray:
        """[2, 2] on canonical pixels about the principal point."""
        return np.diag(self.focal) @ turn.matrix @ np.diag(1 / self.focal)

    def image_matrix(self, turn: Turn, size: int) -> np.ndarray:
        """[2, 3] on pixel centres of a size x size input image."""
        scale = size / self.mapping.extent
        linear = np.diag(scale) @ self.pixel_matrix(turn) @ np.diag(1 / scale)
        principal = (self.principal - self.mapping.offset + 0.5) * scale - 0.5
        return np.column_stack([linear, principal - linear @ principal])

    def image(self, turn: Turn, image: np.ndarray) -> np.ndarray:
        """Picture [S, S, C], turned; black where nothing was seen."""
        size = image.shape[0]
        return cv2.warpAffine(image, self.image_matrix(turn, size), (size, size), flags=cv2.INTER_LINEAR)

    def heatmaps(self, turn: Turn, heatmaps: np.ndarray) -> np.ndarray:
        """Heatmaps [15, 64, 64], each turned with its joint.

        Their coordinates are those of keypoints, not of an image's pixel centres.
        """
        origin, x, y = self.turned_points(turn, np.array([[0.0, 0], [1, 0], [0, 1]]))
        matrix, size = np.column_stack([x - origin, y - origin, origin]), heatmaps.shape[-2:]
        return np.stack([cv2.warpAffine(heatmap, matrix, size) for heatmap in heatmaps[turn.order()]])

    def joints(self, turn: Turn, joints: np.ndarray) -> np.ndarray:
        """Joints [..., 15, 3], camera axes, turned."""
        turned = joints[..., turn.order(), :].copy()
        turned[..., :2] = turned[..., :2] @ turn.matrix.T.astype(joints.dtype)
        return turned

    def keypoints(self, turn: Turn, keypoints: np.ndarray) -> np.ndarray:
        """Keypoints [..., 15, 2], 64x64-heatmap coordinates, turned."""
        return self.turned_points(turn, keypoints[..., turn.order(), :]).astype(keypoints.dtype)

    def turned_points(self, turn: Turn, points: np.ndarray) -> np.ndarray:
        """Points [..., 2], 64x64-heatmap coordinates, turned about the principal point."""
        uv = self.mapping.canonical_from_heatmap(points) - self.principal
        return self.mapping.heatmap_from_canonical(uv @ self.pixel_matrix(turn).T + self.principal)


def symmetric_axes(calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths (their ratio counts) and principal point, pixels, of a lens that is symmetric about its axis.

    Raises EgostreamError for another lens.
    """
    lens = calibration.lens
    if not lens.is_symmetric:
        raise EgostreamError(
            f"calibration {calibration.name}: its lens is not symmetric about its axis; "
            "train with --rotate 0 --mirror 0"
        )
    return np.array(lens.focal), np.array([lens.cx, lens.cy])


class Augmenter:
    """Random turns and random looks, from a generator that the caller seeds.

    rotate_deg: largest rotation. mirror: probability. strength: 0 (off) to 1, scales how likely a change of looks is.
    """

    def __init__(self, geometry: InputGeometry, rotate_deg: float = 20.0, mirror: float = 0.5, strength: float = 1.0):
        self.turner = Turner(geometry) if rotate_deg or mirror else None
        self.rotate, self.mirror, self.strength = np.deg2rad(rotate_deg), mirror, strength

    def draw_turn(self, rng: np.random.Generator) -> Turn:
        """A turn at random."""
        return Turn(float(rng.uniform(-self.rotate, self.rotate)), bool(rng.random() < self.mirror))

    def turned(
        self, turn: Turn, image: np.ndarray, joints: np.ndarray, keypoints: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture, joints and keypoints, turned together; as they are where turning is off."""
        if self.turner is None:
            return image, joints, keypoints
        return self.turner.image(turn, image), self.turner.joints(turn, joints), self.turner.keypoints(turn, keypoints)

    def looks(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """Another look of uint8 RGB [S, S, 3]; geometry untouched."""
        for probability, change in LOOKS:
            if rng.random() < probability * self.strength:
                image = change(rng, image)
        return image


def occlude(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """One to four patches, elongated and turned: a plain colour, or a piece of the same image from elsewhere."""
    size = image.shape[0]
    image = image.copy()
    for _ in range(rng.integers(1, 5)):
        centre, axes = rng.integers(0, size, 2), rng.uniform(0.02, 0.16, 2) * size
        mask = np.zeros((size, size), np.uint8)
        box = cv2.boxPoints(
            ((float(centre[0]), float(centre[1])), (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 180)))
        )
        if rng.random() < 0.5:
            cv2.fillConvexPoly(mask, box.astype(np.int32), 1)
        else:
            cv2.ellipse(
                mask, centre.tolist(), np.ceil(axes).astype(int).tolist(), float(rng.uniform(0, 180)), 0, 360, 1, -1
            )
        if rng.random() < 0.5:
            image[mask > 0] = rng.integers(0, 256, 3)
        else:
            shift = rng.integers(size // 4, 3 * size // 4, 2)
            rows, columns = np.nonzero(mask)
            image[rows, columns] = image[(rows + shift[0]) % size, (columns + shift[1]) % size]
    return image


def recolour(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Saturation, a cast between channels: one 3x3 matrix."""
    saturation = rng.uniform(0.3, 1.5)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1)) + rng.normal(0, 0.06, (3, 3))
    return cv2.transform(image, matrix.astype(np.float32))


def grey(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Grey, as a camera at night."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def tone(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, contrast, gamma, black level and a gain per channel: one table."""
    x = np.linspace(0, 1, 256)[:, None] * np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.08, 3))
    x = np.clip(x, 0, 1) ** np.exp(rng.normal(0, 0.3))
    x = (x - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.05)
    return cv2.LUT(image, np.clip(255 * x, 0, 255).astype(np.uint8).reshape(256, 1, 3))


def shade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light that falls off across the image, or overexposes one side of it."""
    size = image.shape[0]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6)
    gain = 1 + depth * (np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None]).astype(np.float32)
    return cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U)


def blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Out of focus."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2) * image.shape[0] / 128)


def motion_kernel(rng: np.random.Generator, size: int) -> np.ndarray:
    """A line of light in a picture of some size: [L, L], L odd, sum 1."""
    length = int(rng.integers(2, 3 + size // 32)) | 1
    kernel = np.zeros((length, length), np.float32)
    dx, dy = np.cos(a := rng.uniform(0, np.pi)) * length / 2, np.sin(a) * length / 2
    middle = length // 2
    cv2.line(kernel, (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy)), 1)
    return kernel / kernel.sum()


def motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Moved while exposed."""
    return cv2.filter2D(image, -1, motion_kernel(rng, image.shape[0]))


#: Drawn once: drawing costs more than adding.
GRAIN = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)


def noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Grain of a sensor."""
    start = int(rng.integers(0, len(GRAIN) - image.size))
    grain = GRAIN[start : start + image.size].reshape(image.shape)
    return cv2.addWeighted(image, 1.0, grain, rng.uniform(1, 14), 0.0, dtype=cv2.CV_8U)


def coarsen(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Fewer pixels, then as many as before."""
    size = image.shape[0]
    small = int(size / rng.uniform(1.2, 2.2))
    return cv2.resize(
        cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (size, size), interpolation=cv2.INTER_LINEAR
    )


def compress(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """What a JPEG of some quality leaves."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert picture is not None, "what was just encoded can be decoded"
    return picture


#: (probability, change), in the order in which a scene and a camera apply them.
LOOKS = (
    (0.35, occlude), (0.3, shade), (0.5, recolour), (0.1, grey), (0.8, tone),
    (0.2, blur), (0.15, motion_blur), (0.15, coarsen), (0.5, noise), (0.15, compress),
)  # fmt: skip
