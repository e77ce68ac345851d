"""How a camera is mounted: which turn or mirroring makes its picture look as the weights expect.

The weights expect the wearer's body at the picture's bottom and the wearer's right hand at its right. That picture is
called upright here; what the camera delivers is called the delivered picture. A calibration is always of the
delivered picture, so that a turn acts on directions: it is exact for every lens, and pixels stay the camera's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np

from egostream.calibration.camera import Calibration
from egostream.calibration.lens import Lens, center_problem
from egostream.config import ROTATIONS
from egostream.errors import EgostreamError

#: Right and down of the picture, turned clockwise by 90 degrees: right becomes down, down becomes left.
QUARTER_TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
MIRRORING = np.diag([-1.0, 1.0])


@cache
def matrix_of(rotate: int, flip: bool) -> np.ndarray:
    """The matrix [2, 2] of a mount: computed once, since every pose's keypoints are turned by it."""
    turn = np.linalg.matrix_power(QUARTER_TURN, rotate // 90)
    matrix = turn @ MIRRORING if flip else turn
    matrix.flags.writeable = False
    return matrix


class Mount(msgspec.Struct, frozen=True):
    """The way from the delivered picture to the upright one: mirrored left to right if ``flip``, then turned."""

    rotate: int = 0  # degrees clockwise: one of ROTATIONS
    flip: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """Offsets (right, down) in the delivered picture -> in the upright one: [2, 2], orthogonal."""
        return matrix_of(self.rotate, self.flip)

    @property
    def is_upright(self) -> bool:
        """Whether the delivered picture is the upright one."""
        return not (self.rotate or self.flip)

    def after(self, other: Mount) -> Mount:
        """The one mount that acts as ``other`` and then this one."""
        matrix = self.matrix @ other.matrix
        return next(mount for mount in MOUNTS if np.array_equal(mount.matrix, matrix))

    def turned_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the other picture, from those of one: exchanged where it lies on its side."""
        width, height = size
        return (height, width) if self.rotate % 180 else (width, height)

    def upright_pixels(self, delivered: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Pixels [..., 2] of the delivered picture -> of the upright one, whose width and height are ``size``."""
        return (np.asarray(delivered, float) - middle(self.turned_size(size))) @ self.matrix.T + middle(size)

    def delivered_pixels(self, upright: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Pixels [..., 2] of the upright picture of ``size`` (width, height) -> of the delivered one."""
        return (np.asarray(upright, float) - middle(size)) @ self.matrix + middle(self.turned_size(size))

    def upright_rays(self, delivered: np.ndarray) -> np.ndarray:
        """Points or rays [..., 3] in the delivered picture's camera axes -> in the upright one's."""
        return turned_about_z(delivered, self.matrix.T)

    def delivered_rays(self, upright: np.ndarray) -> np.ndarray:
        """Points or rays [..., 3] in the upright picture's camera axes -> in the delivered one's."""
        return turned_about_z(upright, self.matrix)


UPRIGHT = Mount()
#: Every mount there is.
MOUNTS = tuple(Mount(rotate, flip) for flip in (False, True) for rotate in ROTATIONS)


def middle(size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture of ``size`` (width, height), in pixels [2]: between pixels where the size is even."""
    return (np.asarray(size, float) - 1) / 2


def turned_about_z(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [..., 3] whose (x, y), as a row, are multiplied by ``matrix`` [2, 2]; z stays."""
    points = np.asarray(points, float)
    with np.errstate(invalid="ignore"):  # infinite points: lenses see none
        return np.concatenate([points[..., :2] @ matrix, points[..., 2:]], -1)


@dataclass(frozen=True)
class TurnedLens:
    """The lens of a delivered picture, where ``lens`` is that of the upright picture of ``size`` (width, height)."""

    lens: Lens
    mount: Mount
    size: tuple[int, int]

    @property
    def cx(self) -> float:
        """Where the optical axis meets the delivered picture: u, pixels."""
        return float(self.mount.delivered_pixels(np.array([self.lens.cx, self.lens.cy]), self.size)[0])

    @property
    def cy(self) -> float:
        """Where the optical axis meets the delivered picture: v, pixels."""
        return float(self.mount.delivered_pixels(np.array([self.lens.cx, self.lens.cy]), self.size)[1])

    @property
    def focal(self) -> tuple[float, float]:
        """Scale of the delivered picture along u and v."""
        along_u, along_v = self.lens.focal
        return (along_v, along_u) if self.mount.rotate % 180 else (along_u, along_v)

    @property
    def max_theta(self) -> float:
        """Largest angle from the optical axis that the lens sees, radians."""
        return self.lens.max_theta

    @property
    def is_symmetric(self) -> bool:
        """Whether the picture may be turned and mirrored about (cx, cy)."""
        return self.lens.is_symmetric

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] in the delivered picture's axes -> its pixels [..., 2], and which of them are seen [...]."""
        pixels, valid = self.lens.project(self.mount.upright_rays(points))
        return self.mount.delivered_pixels(pixels, self.size), valid

    def unproject(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [..., 2] of the delivered picture -> unit rays [..., 3] in its axes, and which mean something."""
        rays, valid = self.lens.unproject(self.mount.upright_pixels(pixels, self.size))
        return self.mount.delivered_rays(rays), valid

    def problem(self, size: tuple[int, int]) -> str:
        """What is wrong with this lens for pictures of ``size`` (width, height) pixels; empty when nothing is."""
        return center_problem(self, size) or self.lens.problem(self.mount.turned_size(size))

    def fields(self) -> dict[str, Any]:
        """Nothing: no file holds a turned lens, since a calibration is of the picture as delivered. Raises."""
        raise EgostreamError(
            "a turned lens has no layout of its own. Write the calibration of the picture as delivered"
        )


def delivered_calibration(upright: Calibration, mount: Mount) -> Calibration:
    """The calibration of a picture that shows ``upright``'s, once it is mirrored and turned as ``mount`` says."""
    if mount.is_upright:
        return upright
    lens = TurnedLens(upright.lens, mount, upright.size)
    return Calibration(upright.name, mount.turned_size(upright.size), lens, T_head_camera=upright.T_head_camera)
