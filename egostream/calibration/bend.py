"""How lenses and sensors that are not round bend a plane: radial, tangential and thin-prism terms, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Where a bend is looked at for folds: radii up to the lens's edge, and directions around.
RADII, AZIMUTHS = 512, 72
HALVINGS = 40  # of one step between two radii: the edge then is right to the last bits
NEWTON_STEPS = 40
#: A point must bend back to where it came from this closely, in focal lengths: 1e-9 of a pixel and less.
STRAIGHT_WITHIN = 1e-12


@dataclass(frozen=True)
class Bend:
    """Brown and Conrady's terms with thin prisms, on points (x, y) of a plane; s = x^2 + y^2.

    x' = x (1 + k1 s + k2 s^2) + 2 p1 x y + p2 (s + 2 x^2) + s1 s + s2 s^2,
    y' = y (1 + k1 s + k2 s^2) + p1 (s + 2 y^2) + 2 p2 x y + s3 s + s4 s^2.
    Source: OpenCV's documentation of ``projectPoints`` (there without k3 to k6).
    """

    k: tuple[float, ...] = (0.0, 0.0)
    p: tuple[float, ...] = (0.0, 0.0)
    prism: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)

    @cached_property
    def is_none(self) -> bool:
        """Whether points stay where they are."""
        return not any((*self.k, *self.p, *self.prism))

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the plane is bent alike on all sides."""
        return not any((*self.p, *self.prism))

    def bent(self, flat: np.ndarray) -> np.ndarray:
        """Points [..., 2] of the plane -> points [..., 2] where the lens shows them."""
        if self.is_none:
            return flat
        x, y = flat[..., 0], flat[..., 1]
        (k1, k2), (p1, p2), (s1, s2, s3, s4) = self.k, self.p, self.prism
        s = x * x + y * y
        radial = 1 + s * (k1 + s * k2)
        across = 2 * (p1 * y + p2 * x)
        return np.stack(
            [x * (radial + across) + s * (p2 + s1 + s2 * s), y * (radial + across) + s * (p1 + s3 + s4 * s)], -1
        )

    def slopes(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives dx'/dx, dx'/dy, dy'/dx, dy'/dy, each [...], at points [..., 2]."""
        x, y = flat[..., 0], flat[..., 1]
        (k1, k2), (p1, p2), (s1, s2, s3, s4) = self.k, self.p, self.prism
        s = x * x + y * y
        common = 1 + s * (k1 + s * k2) + 2 * (p1 * y + p2 * x)
        grows = 2 * (k1 + 2 * k2 * s)  # derivative of the radial factor over x, divided by x
        u_prism, v_prism = 2 * (p2 + s1 + 2 * s2 * s), 2 * (p1 + s3 + 2 * s4 * s)
        return (
            common + x * (x * grows + 2 * p2 + u_prism),
            x * (y * grows + 2 * p1) + y * u_prism,
            y * (x * grows + 2 * p2) + x * v_prism,
            common + y * (y * grows + 2 * p1 + v_prism),
        )

    def straight(self, bent: np.ndarray, edge: float) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 2] that a lens shows -> points [..., 2] of the plane, and which lie within ``edge`` [...].

        Newton steps that never leave the disc of radius ``edge``, inside which nothing is folded.
        """
        if self.is_none:
            return bent, np.hypot(bent[..., 0], bent[..., 1]) <= edge
        flat = inside(bent, edge)
        for _ in range(NEWTON_STEPS):
            error = self.bent(flat) - bent
            if np.abs(error).max(initial=0) < STRAIGHT_WITHIN / 100:
                break
            xx, xy, yx, yy = self.slopes(flat)
            down = xx * yy - xy * yx
            down = np.where(np.abs(down) < 1e-12, 1e-12, down)
            step = np.stack([yy * error[..., 0] - xy * error[..., 1], xx * error[..., 1] - yx * error[..., 0]], -1)
            flat = inside(flat - step / down[..., None], edge)
        distance = np.abs(self.bent(flat) - bent).max(-1, initial=0)
        within = np.hypot(flat[..., 0], flat[..., 1]) <= edge
        return flat, within & (distance <= STRAIGHT_WITHIN * (1 + np.abs(bent).max(-1, initial=0)))

    def edge(self, most: float) -> float:
        """Largest radius of the plane, up to ``most``, within which no two points are shown at one place."""
        if self.is_none:
            return most
        radii = np.linspace(0, most, RADII + 1)[1:]
        folded = np.flatnonzero(~self.is_open(radii))
        if not folded.size:
            return most
        low, high = (radii[folded[0] - 1] if folded[0] else 0.0), radii[folded[0]]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.is_open(np.array([middle]))[0] else (low, middle)
        return float(low)

    def is_open(self, radii: np.ndarray) -> np.ndarray:
        """Whether the plane is neither folded nor turned back anywhere on circles of ``radii`` [n]."""
        phi = np.arange(AZIMUTHS) * 2 * np.pi / AZIMUTHS
        out = np.stack([np.cos(phi), np.sin(phi)], -1)
        xx, xy, yx, yy = self.slopes(radii[:, None, None] * out)
        outwards = out[:, 0] * (xx * out[:, 0] + xy * out[:, 1]) + out[:, 1] * (yx * out[:, 0] + yy * out[:, 1])
        return ((xx * yy - xy * yx > 0) & (outwards > 0)).all(-1)


def inside(points: np.ndarray, edge: float) -> np.ndarray:
    """Points [..., 2], those beyond the radius ``edge`` moved onto it."""
    if not np.isfinite(edge):
        return points
    r = np.hypot(points[..., 0], points[..., 1])
    return points * np.where(r > edge, edge / np.where(r > edge, r, 1), 1.0)[..., None]
