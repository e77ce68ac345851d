"""Where a headset carries its camera, and what that camera does to light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from egostream.calibration.file import canonical_calibration, same_camera
from egostream.calibration.view import INPUT_SIZE

#: Camera position from the neck joint of a standing wearer (left, up, ahead), metres, and pitch: 0 looks straight
#: down, 90 straight ahead. "boom" is the SceneEgo rig; the others are common mounts.
RIGS = {"boom": ((0.0, 0.12, 0.35), 0.0), "brim": ((0.0, 0.24, 0.20), 8.0), "glasses": ((0.0, 0.16, 0.15), 25.0)}
JITTER_M = {"boom": 0.035, "brim": 0.03, "glasses": 0.02}
JITTER_DEG = {"boom": 6.0, "brim": 9.0, "glasses": 10.0}
#: Camera axes (right, down in the image, ahead along the optical axis) of a camera that looks straight down, as
#: columns in the wearer's axes (left, up, ahead): the wearer's right is the image's right, the face is at its bottom.
LOOKING_DOWN = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])


@dataclass(frozen=True)
class Rig:
    """A camera fixed to the head."""

    kind: str
    offset: np.ndarray  # from the neck of an upright wearer, wearer's axes, metres
    turn: np.ndarray  # camera axes -> wearer's axes

    def world_to_camera(self, body, turns, heads) -> np.ndarray:
        """World -> camera [F, 4, 4] for posed bones (``Body.pose``)."""
        neck, head = body.bones.segment_bone("neck"), body.bones.segment_bone("head")
        R = turns[:, head]
        at = heads[:, head] + np.einsum("fij,j->fi", R, self.offset - (body.heads[head] - body.heads[neck]))
        matrices = np.tile(np.eye(4), (len(R), 1, 1))
        matrices[:, :3, :3] = np.swapaxes(R @ self.turn, 1, 2)
        matrices[:, :3, 3] = -np.einsum("fij,fj->fi", matrices[:, :3, :3], at)
        return matrices


def random_rig(rng: np.random.Generator, kind: str) -> Rig:
    """A mount of one kind (see RIGS), or of any for "mix", worn a little differently by everybody."""
    if kind == "mix":
        kind = str(rng.choice(list(RIGS), p=[0.75, 0.15, 0.1]))
    offset, pitch = RIGS[kind]
    angles = rng.normal(0, JITTER_DEG[kind], 3) * (1.0, 0.5, 0.5)
    pitched = Rotation.from_euler(
        "x", -(pitch + angles[0]), degrees=True
    )  # about the wearer's left axis: the view comes up
    rest = Rotation.from_euler("yz", angles[1:], degrees=True)
    return Rig(
        kind,
        np.array(offset) + rng.normal(0, JITTER_M[kind], 3) * (0.4, 1, 1),
        (rest * pitched).as_matrix() @ LOOKING_DOWN,
    )


@dataclass(frozen=True)
class Sensor:
    """One camera's response: linear light in, uint8 RGB out."""

    exposure: float
    balance: np.ndarray  # [3]
    vignette: np.ndarray  # [H, W, 1] 0..1, black outside the lens
    glare: np.ndarray  # [H, W, 1] what the lens barrel reflects outside the circle
    blur: float  # px
    shot: float  # noise that grows with the light
    read: float  # noise in the dark
    gamma: float
    saturation: float
    black: float
    quality: int  # JPEG

    def develop(self, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Linear colour [H, W, 3] -> uint8 RGB [H, W, 3]."""
        image = light * (self.exposure * self.balance) * self.vignette + self.glare
        if self.blur > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), self.blur)
        sigma = np.sqrt(self.read**2 + self.shot**2 * np.maximum(image, 0))
        image = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
        grey = image.mean(-1, keepdims=True)
        image = grey + (image - grey) * self.saturation
        image = np.clip(self.black + (1 - self.black) * image, 0, 1) ** (1 / self.gamma)
        return (image * 255 + 0.5).astype(np.uint8)

    def encode(self, rgb: np.ndarray) -> bytes:
        """The picture uint8 RGB [H, W, 3] as a JPEG file."""
        return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1].tobytes()


def random_sensor(rng: np.random.Generator, renderer, first: np.ndarray) -> Sensor:
    """A sensor exposed for the first frame ``first`` (linear [H, W, 3]), from dim to over-exposed."""
    height, width = first.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = (np.stack([x, y], -1) + 0.5) / renderer.scale - 0.5 + renderer.offset
    rays, valid = renderer.calibration.lens.unproject(pixels)
    theta = np.where(valid & renderer.covered(rays), np.arccos(np.clip(rays[..., 2], -1, 1)), np.pi)
    # where the lens's circle ends: about 89 degrees for the canonical one, as far as another camera's picture goes
    edge = np.radians(rng.normal(89, 4))
    if not same_camera(renderer.camera, canonical_calibration()):
        edge = max(edge, float(theta[theta < np.pi].max(initial=0)))
    edge = min(edge, renderer.max_theta)
    softness = np.radians(rng.uniform(1, 9))
    inside = np.clip((edge - theta) / softness, 0, 1)
    falloff = 1 - rng.uniform(0, 0.75) * np.clip(theta / edge, 0, 1) ** rng.uniform(2, 5)
    vignette = np.where(theta < edge, inside * inside * (3 - 2 * inside) * falloff, 0)[..., None].astype(np.float32)
    grey = (first * vignette).mean(-1)[inside > 0.5]
    level = np.percentile(grey, 60) if grey.size else 0.2
    mean = rng.choice([rng.uniform(0.02, 0.1), rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.9)], p=[0.25, 0.6, 0.15])
    noise = 10 ** rng.uniform(-2.9, -1.5)
    scale = height / INPUT_SIZE  # of a picture that is averaged down to the network's input
    outside = rng.choice([0.0, rng.uniform(0, 0.012)]) * (1 - np.minimum(inside, 1))
    return Sensor(
        exposure=float(mean / max(level, 1e-3)),
        balance=np.exp(rng.normal(0, 0.08, 3)).astype(np.float32),
        vignette=vignette,
        glare=(outside * rng.uniform(0.5, 1, (height, width)))[..., None].astype(np.float32),
        blur=float(rng.choice([0.0, rng.uniform(0.2, 0.8), rng.uniform(0.8, 1.3)], p=[0.4, 0.5, 0.1]) * scale),
        shot=float(noise * scale),
        read=float(noise * scale * rng.uniform(0.05, 0.4)),
        gamma=float(rng.uniform(1.7, 2.6)),
        saturation=float(rng.choice([rng.uniform(0.5, 1.3), 0.0], p=[0.94, 0.06])),
        black=float(rng.choice([0, rng.uniform(0, 0.015)])),
        quality=int(rng.integers(45, 97)),
    )
