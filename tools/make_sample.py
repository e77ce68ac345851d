#!/usr/bin/env python3
"""Render the bundled sample clip: a walking, gesturing body of capsules seen through the canonical fisheye lens.

    python tools/make_sample.py                       # writes egostream/sample/sample.avi, about a minute and a half

Everything is procedural and periodic, so the clip loops without a jump. Axes are the camera's: x right, y towards
the wearer's body (image down), z down to the floor.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from rich.progress import track

from egostream.calibration import canonical_calibration

FPS, FRAMES = 30, 90
FLOOR = 1.62  # metres below the camera
ROOM = np.array([2.6, 3.4])  # half extents in x and y
LENS_LIMIT = np.radians(92)  # the black circle outside the lens begins here
SKIN, SHIRT, TROUSERS, SHOES = (0.80, 0.58, 0.46), (0.16, 0.30, 0.46), (0.24, 0.23, 0.26), (0.75, 0.74, 0.70)


def rotation(axis: int, angle: float) -> np.ndarray:
    """Right-handed rotation about x, y or z."""
    vector = np.zeros(3)
    vector[axis] = angle
    return cv2.Rodrigues(vector)[0]


def limb(start, angles, lengths, side):
    """Points along a limb whose segments hang down (+z), swung forward by ``angles`` and outward by ``side``."""
    points = [np.asarray(start, float)]
    for forward, length in zip(angles, lengths):
        direction = rotation(0, forward) @ rotation(1, side) @ np.array([0, 0, 1.0])
        points.append(points[-1] + length * direction)
    return points


def body(phase: float) -> list[tuple[np.ndarray, np.ndarray, float, tuple]]:
    """Capsules (start, end, radius, colour) of the body at a phase 0..1 of the clip."""
    stride = 2 * np.pi * 3 * phase  # three steps with each leg
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * phase)  # the right hand comes up once
    parts = []
    neck, pelvis = np.array([0, 0.36, 0.13]), np.array([0, 0.44, 0.66])
    parts += [(neck, pelvis, 0.13, SHIRT), (np.array([0, 0.33, -0.02]), neck, 0.075, SKIN)]
    for sign in (1, -1):
        swing = np.sin(stride) * sign
        shoulder, hip = neck + (0.175 * sign, 0.02, 0.02), pelvis + (0.10 * sign, 0, 0.02)
        parts += [(neck, shoulder, 0.065, SHIRT), (pelvis, hip, 0.12, TROUSERS)]
        raised = wave if sign == 1 else 0.0
        arm = limb(
            shoulder,
            (0.25 * swing + 0.5 * raised + 0.1, 0.25 * swing + 0.6 + 1.2 * raised, 0.25 * swing + 0.6 + 1.2 * raised),
            (0.312, 0.272, 0.16),
            0.18 * sign,
        )
        parts += [(arm[0], arm[1], 0.05, SHIRT), (arm[1], arm[2], 0.04, SKIN), (arm[2], arm[3], 0.04, SKIN)]
        bend = 0.25 + 0.35 * max(0.0, np.cos(stride) * sign)
        leg = limb(hip, (-0.4 * swing, -0.4 * swing - bend, 1.45 - 0.3 * swing), (0.404, 0.436, 0.17), 0.03 * sign)
        parts += [(leg[0], leg[1], 0.075, TROUSERS), (leg[1], leg[2], 0.055, TROUSERS), (leg[2], leg[3], 0.045, SHOES)]
    return parts


def nearest_capsule(rays: np.ndarray, parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance, normal and colour of the nearest capsule along unit rays [P, 3] from the origin; infinite: none."""
    distance = np.full(len(rays), np.inf, np.float32)
    normal, colour = np.zeros_like(rays), np.zeros_like(rays)
    for start, end, radius, tint in parts:
        t, n = hit_capsule(rays, start.astype(np.float32), end.astype(np.float32), radius)
        closer = t < distance
        distance[closer], normal[closer], colour[closer] = t[closer], n[closer], tint
    return distance, normal, colour


def hit_capsule(d, a, b, r):
    """Ray-capsule intersection from the origin: side of the cylinder, else the nearer end sphere."""
    axis = b - a
    length2, da, oa = axis @ axis, d @ axis, -(a @ axis)
    # |oa_perp + t d_perp|^2 = r^2 for the origin seen from a
    A = length2 - da * da
    B = length2 * -(d @ a) - oa * da
    C = length2 * (a @ a) - oa * oa - r * r * length2
    root = B * B - A * C
    t = np.where(root > 0, (-B - np.sqrt(np.maximum(root, 0))) / np.maximum(A, 1e-9), np.inf).astype(np.float32)
    along = oa + np.where(np.isfinite(t), t, 0) * da
    on_side = (along > 0) & (along < length2) & (t > 0)
    t = np.where(on_side, t, np.inf)
    for centre in (a, b):
        half = d @ centre
        inside = half * half - (centre @ centre - r * r)
        ball = np.where((inside > 0) & (half > 0), half - np.sqrt(np.maximum(inside, 0)), np.inf)
        t = np.minimum(t, ball)
    hit = np.where(np.isfinite(t), t, 0)[:, None] * d
    foot = a + np.clip((hit - a) @ axis / length2, 0, 1)[:, None] * axis
    return t, (hit - foot) / r


def room(rays: np.ndarray, place: np.ndarray, heading: float, parts) -> np.ndarray:
    """Colour of floor, walls and lamps along rays, from a camera at ``place`` in the room, turned by ``heading``."""
    d = rays @ rotation(2, heading).T.astype(np.float32)
    with np.errstate(divide="ignore"):
        walls = ((np.sign(d[:, :2]) * ROOM - place) / d[:, :2]).min(1)
        floor = np.where(d[:, 2] > 1e-4, FLOOR / d[:, 2], np.inf)
    t = np.minimum(walls, floor)
    point = np.column_stack([place + t[:, None] * d[:, :2], t * d[:, 2]])
    plank = np.floor(point[:, 0] / 0.18) * 7.3 + np.floor(point[:, 1] / 1.1 + np.floor(point[:, 0] / 0.18) * 0.37) * 3.1
    grain = 0.5 + 0.5 * np.sin(plank * 12.9898) * np.cos(point[:, 1] * 9 + plank)
    wood = np.array([0.52, 0.40, 0.29]) * (0.75 + 0.35 * grain[:, None])
    stripes = 0.5 + 0.5 * np.sign(np.sin(point[:, 0] * 5) * np.sin(point[:, 1] * 5) * np.sin(point[:, 2] * 5))
    plaster = np.array([0.62, 0.66, 0.64]) * (0.88 + 0.10 * stripes[:, None])
    colour = np.where((floor < walls)[:, None], wood * shade_floor(point, place, heading, parts)[:, None], plaster)
    return colour * (0.55 + 0.45 * np.exp(-0.18 * t))[:, None]


def shade_floor(point, place, heading, parts) -> np.ndarray:
    """Soft shadow of the body on the floor, darkest under what is low."""
    light = np.ones(len(point))
    turn = rotation(2, heading)
    for start, end, radius, _ in parts:
        middle = turn @ ((start + end) / 2)
        spread = radius + 0.35 * max(0.05, FLOOR - middle[2])
        square = ((point[:, :2] - place - middle[:2]) ** 2).sum(1)
        light *= 1 - 0.45 * min(1, radius / spread * 2) * np.exp(-square / (2 * spread**2))
    return light


def render(rays: np.ndarray, visible: np.ndarray, shape: tuple[int, int], phase: float) -> np.ndarray:
    """One frame, linear RGB [H, W, 3]."""
    nod = rotation(0, 0.05 * np.sin(2 * np.pi * 6 * phase)) @ rotation(1, 0.03 * np.sin(2 * np.pi * 3 * phase))
    heading = 0.35 * np.sin(2 * np.pi * phase)
    place = np.array([0.5 * np.sin(2 * np.pi * phase), -0.6 * np.cos(2 * np.pi * phase)])
    d = (rays[visible] @ nod).astype(np.float32)
    parts = body(phase)
    t, normal, colour = nearest_capsule(d, parts)
    lamp = np.array([0.3, -0.25, -0.92])
    lit = 0.42 + 0.58 * np.clip(normal @ lamp, 0, 1)
    frame = np.zeros((*shape, 3))
    frame[visible] = np.where(np.isfinite(t)[:, None], colour * lit[:, None], room(d, place, heading, parts))
    return frame


def develop(linear: np.ndarray, vignette: np.ndarray, size: tuple[int, int], rng) -> np.ndarray:
    """Vignette, gamma, a little sensor noise; BGR uint8 at full size."""
    image = cv2.resize(linear * vignette[..., None], size, interpolation=cv2.INTER_CUBIC)
    image = np.clip(image, 0, 1) ** (1 / 2.0) + rng.normal(0, 0.004, image.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)[..., ::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parents[1] / "egostream/sample/sample.avi")
    parser.add_argument("--quality", type=int, default=70, help="JPEG quality (70)")
    options = parser.parse_args()
    calibration = canonical_calibration()
    width, height = calibration.size
    shape = (height // 2, width // 2)
    u, v = np.meshgrid(np.arange(shape[1]) * 2 + 0.5, np.arange(shape[0]) * 2 + 0.5)
    rays, seen = calibration.lens.unproject(np.stack([u, v], -1))
    theta = np.arccos(np.clip(rays[..., 2], -1, 1))
    vignette = np.clip((LENS_LIMIT - theta) / 0.03, 0, 1) * (1 - 0.35 * (theta / LENS_LIMIT) ** 3)
    visible = seen & (theta < LENS_LIMIT)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(options.output), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (width, height))
    if not writer.isOpened():
        sys.exit(f"make_sample: cannot write {options.output}")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, options.quality)
    rng = np.random.default_rng(0)
    for i in track(range(FRAMES), "rendering"):
        writer.write(develop(render(rays, visible, shape, i / FRAMES), vignette, (width, height), rng))
    writer.release()
    print(f"{options.output}: {FRAMES} frames, {options.output.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
