"""Lenses of every model for the tests, and one whose model egostream has never heard of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from egostream.calibration.double_sphere import DoubleSphereLens
from egostream.calibration.eucm import EucmLens
from egostream.calibration.file import canonical_calibration
from egostream.calibration.fov import FovLens
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import center_problem
from egostream.calibration.mei import MeiLens
from egostream.calibration.mount import Mount, TurnedLens
from egostream.calibration.ocam import OcamLens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.thin_prism_fisheye import ThinPrismFisheyeLens


@dataclass(frozen=True)
class BrownLens:
    """A pinhole with Brown and Conrady's tangential terms, which no module of egostream knows by name or by field.

    (u, v) = (fx x', fy y') + (cx, cy), with (x, y) = (X, Y)/Z, s = x^2 + y^2,
    x' = x + 2 p1 x y + p2 (s + 2 x^2), y' = y + p1 (s + 2 y^2) + 2 p2 x y.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    skewness: tuple[float, float] = (0.0, 0.0)  # p1, p2

    max_theta = np.radians(50)

    @property
    def focal(self) -> tuple[float, float]:
        return self.fx, self.fy

    @property
    def is_symmetric(self) -> bool:
        return not any(self.skewness)

    def bent(self, flat: np.ndarray) -> np.ndarray:
        x, y = np.moveaxis(flat, -1, 0)
        (p1, p2), s = self.skewness, x**2 + y**2
        return np.stack([x + 2 * p1 * x * y + p2 * (s + 2 * x**2), y + p1 * (s + 2 * y**2) + 2 * p2 * x * y], axis=-1)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = np.asarray(points, float)
        finite = np.isfinite(points).all(-1)
        safe = np.where(finite[..., None], points, 0.0)
        theta = np.arctan2(np.hypot(safe[..., 0], safe[..., 1]), safe[..., 2])
        valid = finite & (np.linalg.norm(safe, axis=-1) > 1e-9) & (theta <= self.max_theta)
        safe = np.where(valid[..., None], safe, (0, 0, 1.0))
        return self.bent(safe[..., :2] / safe[..., 2:]) * self.focal + (self.cx, self.cy), valid

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.asarray(pixels, float)
        wanted = (pixels - (self.cx, self.cy)) / self.focal
        near = np.isfinite(pixels).all(-1) & (np.hypot(*np.moveaxis(wanted, -1, 0)) < 2)
        wanted = np.where(near[..., None], wanted, 0.0)
        flat = wanted
        for _ in range(100):
            flat = flat - (self.bent(flat) - wanted)
        valid = near & (np.arctan(np.hypot(flat[..., 0], flat[..., 1])) <= self.max_theta)
        rays = np.concatenate([flat, np.ones_like(flat[..., :1])], -1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True), valid

    def problem(self, size: tuple[int, int]) -> str:
        return center_problem(self, size)

    def fields(self) -> dict:
        return {"model": "brown", "numbers": {"fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy}}


@dataclass(frozen=True)
class LeaningLens(BrownLens):
    """A lens before a sensor that leans, so that pictures grow to one side."""

    lean: tuple[float, float] = (0.0, 0.0)

    def bent(self, flat: np.ndarray) -> np.ndarray:
        return flat * (1 + flat @ np.array(self.lean))[..., None]

    @property
    def is_symmetric(self) -> bool:
        return not any(self.lean)


SIZE = (1280, 1024)  # pixels of the pictures that all of them take
OCAM = canonical_calibration().lens
KB = KannalaBrandtLens(320.0, 322.0, 640.3, 511.2, (0.02, -0.006, 0.001, -0.0004))
PINHOLE = PinholeLens(610.0, 612.0, 633.0, 498.0, (-0.21, 0.06, 0.001, -0.0005, -0.004))
RADIAL = PinholeLens(610.0, 590.0, 633.0, 498.0, (-0.21, 0.06, 0.0, 0.0, -0.004))
SKEWED = BrownLens(610.0, 590.0, 633.0, 498.0, (0.03, -0.02))
AFFINE = OcamLens(OCAM.cx, OCAM.cy, OCAM.w, OCAM.a, (0.97, 0.004, -0.006))
STRETCHED = OcamLens(OCAM.cx, OCAM.cy, OCAM.w, OCAM.a, (0.93, 0.0, 0.0))
SKEWED_KB = KannalaBrandtLens(320.0, 322.0, 640.3, 511.2, (0.02, -0.006, 0.001, -0.0004), 2.5)
SKEWED_PINHOLE = PinholeLens(610.0, 612.0, 633.0, 498.0, (-0.21, 0.06, 0.001, -0.0005, -0.004), -3.0)
RATIONAL = PinholeLens(610.0, 612.0, 633.0, 498.0, (0.4, 0.1, 0.001, -0.0005, 0.004, 0.6, 0.15, 0.01))
PRISM = PinholeLens(
    610.0, 612.0, 633.0, 498.0, (-0.21, 0.06, 0.001, -0.0005, -0.004, 0.0, 0.0, 0.0, 0.003, -0.001, 0.002, -0.0006)
)
TILTED = PinholeLens(610.0, 612.0, 633.0, 498.0, (*PRISM.distortion, 0.01, -0.02))
DOUBLE_SPHERE = DoubleSphereLens(300.0, 302.0, 639.0, 511.0, -0.18, 0.59)
EUCM = EucmLens(330.0, 331.0, 639.0, 511.0, 0.64, 1.05)
FOV = FovLens(480.0, 478.0, 641.0, 509.0, 0.93)
MEI = MeiLens(900.0, 903.0, 637.0, 514.0, 1.6, (-0.12, 0.05, 0.0008, -0.0011), 0.7)
MEI_PURE = MeiLens(820.0, 822.0, 637.0, 514.0, 1.4)
THIN_PRISM = ThinPrismFisheyeLens(
    400.0, 400.0, 642.0, 508.0, (-0.02, 0.1, -0.07, 0.012, 0.0013, -0.0003), (0.0007, -0.0004),
    (0.0005, -0.0001, -0.0003, 0.0002),
)  # fmt: skip
STRAIGHT = BrownLens(610.0, 590.0, 633.0, 498.0)
UPENDED = KannalaBrandtLens(320.0, 322.0, 505.3, 646.2, (0.02, -0.006, 0.001, -0.0004))
LEANING = LeaningLens(610.0, 590.0, 633.0, 498.0, lean=(0.02, 0.0))

#: Of every lens: its name, itself, and up to how many degrees from the axis it is tested.
LENSES = [
    ("ocam", OCAM, 100),
    ("kannala_brandt", KB, 95),
    ("pinhole", PINHOLE, 40),
    ("pinhole without tangential terms", RADIAL, 40),
    ("pinhole without distortion", PinholeLens(610.0, 612.0, 633.0, 498.0), 80),
    ("made up, tangential", SKEWED, 45),
    ("made up, straight", STRAIGHT, 45),
    ("made up, leaning", LEANING, 45),
    ("ocam, upside down", TurnedLens(OCAM, Mount(180), SIZE), 100),
    ("kannala_brandt, on its side and mirrored", TurnedLens(UPENDED, Mount(90, True), SIZE[::-1]), 95),
    ("ocam with affine terms", AFFINE, 100),
    ("ocam before oblong pixels", STRETCHED, 100),
    ("kannala_brandt with skew", SKEWED_KB, 95),
    ("pinhole with skew", SKEWED_PINHOLE, 40),
    ("pinhole, rational", RATIONAL, 45),
    ("pinhole, thin prism", PRISM, 38),
    ("pinhole, tilted sensor", TILTED, 38),
    ("double_sphere", DOUBLE_SPHERE, 105),
    ("eucm", EUCM, 100),
    ("fov", FOV, 88),
    ("mei", MEI, 95),
    ("mei without distortion", MEI_PURE, 100),
    ("thin_prism_fisheye", THIN_PRISM, 85),
]
#: Lenses that stand for themselves, not for another lens before a turned picture; and those of them that files hold.
OF_PICTURES = [(name, lens) for name, lens, _ in LENSES if not isinstance(lens, TurnedLens)]
WRITTEN = [(name, lens) for name, lens in OF_PICTURES if "made up" not in name]


def elsewhere(lens):
    """The same lens before another place of the sensor."""
    if isinstance(lens, TurnedLens):
        return replace(lens, lens=elsewhere(lens.lens))
    return replace(lens, cx=lens.cx + 1)


def directions(max_deg: float, count: int = 3000) -> np.ndarray:
    """Directions [count, 3] in a cone around the optical axis, at random distances."""
    rng = np.random.default_rng(0)
    theta = np.radians(rng.uniform(0.01, max_deg, count))
    phi = rng.uniform(0, 2 * np.pi, count)
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return rays * rng.uniform(0.1, 5, (count, 1))


def direction_grid(max_deg: float) -> np.ndarray:
    """Unit directions [24, 36, 3]: angles from the axis up to ``max_deg``, and azimuths all around."""
    theta, phi = np.meshgrid(
        np.radians(np.linspace(0.01, max_deg, 24)), np.linspace(0, 2 * np.pi, 36, endpoint=False), indexing="ij"
    )
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle in degrees, accurate where arccos is not."""
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))
