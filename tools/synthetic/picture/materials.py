"""Colours, textures and the material table of one scene, all procedural and random."""

from __future__ import annotations

import cv2
import numpy as np

from tools.synthetic.picture.render import TEXTURE_SIZE


def linear(colour) -> np.ndarray:
    """sRGB 0..1 -> linear light."""
    return np.asarray(colour, float) ** 2.2


def random_colour(rng, grey: float = 0.4) -> np.ndarray:
    """Linear colour; with probability ``grey`` nearly without hue, as most cloth and furniture is."""
    saturation = rng.uniform(0, 0.12) if rng.random() < grey else rng.uniform(0.15, 0.9)
    value = rng.choice([rng.uniform(0.03, 0.25), rng.uniform(0.25, 0.7), rng.uniform(0.7, 0.97)], p=[0.35, 0.35, 0.3])
    hsv = np.array([[[rng.integers(180), 255 * saturation, 255 * value]]]).astype(np.uint8)
    return linear(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] / 255)


def noise(rng, octaves: int = 5, stretch=(1, 1)) -> np.ndarray:
    """Tiling-ish fractal noise, 0..1 [256, 256]."""
    total = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    for k in range(octaves):
        cells = (max(2, int(stretch[1] * 2 ** (k + 2))), max(2, int(stretch[0] * 2 ** (k + 2))))
        grid = rng.random(cells, dtype=np.float32)
        grid[-1], grid[:, -1] = grid[0], grid[:, 0]
        total += cv2.resize(grid, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_CUBIC) * 0.55**k
    return (total - total.min()) / np.ptp(total)


def texture(rng, kind: str) -> np.ndarray:
    """uint8 [256, 256, 3]; 128 leaves the material's tint as it is."""
    n, N = noise(rng), TEXTURE_SIZE
    y, x = np.mgrid[0:N, 0:N] / N
    grey = lambda a: np.repeat(np.clip(a, 0, 1)[..., None], 3, 2)
    if kind == "wood":
        image = grey(0.5 + 0.3 * (noise(rng, 5, (0.25, 4)) - 0.5) - 0.25 * ((x * rng.integers(2, 8)) % 1 < 0.02))
    elif kind == "tiles":
        k = rng.integers(2, 8)
        seam = np.minimum((x * k) % 1, (y * k) % 1) < rng.uniform(0.02, 0.06)
        per = rng.uniform(-0.12, 0.12, (k, k))[(y * k).astype(int), (x * k).astype(int)]
        image = grey(0.5 + per + 0.1 * (n - 0.5) - rng.uniform(-0.2, 0.35) * seam)
    elif kind == "checks":
        k = rng.integers(1, 7)
        image = grey(0.5 + rng.uniform(0.2, 0.5) * (((x * 2 * k).astype(int) + (y * 2 * k).astype(int)) % 2 - 0.5))
    elif kind == "stripes":
        k, angle = rng.integers(2, 16), rng.choice([0, 1])
        t = (x if angle else y) * k
        image = grey(0.5 + rng.uniform(0.15, 0.5) * ((t % 1 < rng.uniform(0.2, 0.8)) - 0.5))
    elif kind == "plaid":
        k = rng.integers(2, 8)
        image = np.stack(
            [
                0.5 + 0.35 * (((x * k + p) % 1 < 0.4) * 0.5 + ((y * k + p) % 1 < 0.3) * 0.5 - 0.35)
                for p in rng.random(3)
            ],
            -1,
        )
    elif kind == "print":
        image = shapes(rng, rng.integers(8, 40), np.full((N, N, 3), 128, np.uint8)) / 255
    elif kind == "page":
        image = page(rng) / 255
    elif kind == "carpet":
        image = grey(0.5 + 0.5 * (rng.random((N, N)) - 0.5) * rng.uniform(0.3, 1) + 0.4 * (n - 0.5))
    else:  # plaster, concrete, plain cloth: soft stains
        image = grey(0.5 + rng.uniform(0.1, 0.6) * (n - 0.5) + 0.05 * (rng.random((N, N)) - 0.5))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def shapes(rng, count: int, image) -> np.ndarray:
    """Random filled shapes: prints, posters, and a stand-in for anything with edges."""
    for _ in range(count):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        centre, radius = rng.integers(0, TEXTURE_SIZE, 2), int(rng.integers(4, 60))
        if (kind := rng.integers(3)) == 0:
            cv2.circle(image, tuple(map(int, centre)), radius, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            box = cv2.boxPoints(
                (tuple(map(float, centre)), (float(radius), float(rng.integers(4, 60))), float(rng.uniform(0, 180)))
            )
            cv2.fillPoly(image, [box.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            cv2.line(
                image,
                tuple(map(int, centre)),
                tuple(map(int, rng.integers(0, TEXTURE_SIZE, 2))),
                colour,
                int(rng.integers(1, 6)),
                cv2.LINE_AA,
            )
    return image


def page(rng) -> np.ndarray:
    """Paper, posters and screens: lines of text and pictures."""
    ground = int(rng.choice([250, 235, 20, 60]))
    image = np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), ground, np.uint8)
    ink = (30, 30, 30) if ground > 128 else (220, 220, 220)
    y = 12
    while y < TEXTURE_SIZE - 12:
        if rng.random() < 0.12:
            h = int(rng.integers(30, 90))
            patch = shapes(rng, 10, np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), int(rng.integers(256)), np.uint8))
            x0, x1 = sorted(rng.integers(8, TEXTURE_SIZE - 8, 2))
            image[y : y + h, x0:x1] = patch[: image[y : y + h].shape[0], x0:x1]
            y += h + 6
        else:
            size = int(rng.integers(1, 4))
            x = 10
            while x < TEXTURE_SIZE - 20:
                word = int(rng.integers(4, 30))
                cv2.line(image, (x, y), (min(x + word, TEXTURE_SIZE - 10), y), ink, size)
                x += word + 5
            y += 5 + 2 * size
    return image


class Materials:
    """The material table of one scene."""

    def __init__(self, rng):
        self.rng = rng
        self.tint, self.surface, self.layers = [], [], []

    def layer(self, kind: str) -> int:
        self.layers.append(texture(self.rng, kind))
        return len(self.layers) - 1

    def add(self, colour, kind: str = "plain", scale=1.0, contrast=1.0, specular=0.0, glow=0.0) -> int:
        self.tint.append((*np.asarray(colour, float), self.layer(kind)))
        self.surface.append((scale, contrast, specular, glow))
        return len(self.tint) - 1
