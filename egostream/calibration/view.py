"""Where the network's input lies in a camera's picture, and back: pixels, rays, keypoints.

Points only: no picture is touched here. ``capture.rectify`` warps pictures by what this module says.
"""

from __future__ import annotations

import msgspec
import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration, same_camera
from egostream.calibration.mount import UPRIGHT, Mount, delivered_calibration
from egostream.errors import EgostreamError

INPUT_SIZE = 256  # pixels of the network's square input, along each side
HEATMAP_SIZE = 64  # cells of a heatmap, along each side
#: Part of the network's view below which a calibration must be another lens's: any head-mounted fisheye covers more.
#: Chosen by hand; not measured.
LEAST_COVERAGE = 0.05


class InputGeometry(msgspec.Struct, frozen=True):
    """How the canonical camera's frame becomes the network's 256x256 input."""

    calibration: str  # name of the canonical calibration in calib/
    mapping: str  # "crop": square centre, square pixels; "squash": whole frame, aspect lost


class InputMapping:
    """Where the network's input and heatmaps lie in the canonical camera's picture.

    mapping: ``crop`` for the centred square of the frame's height, ``squash`` for the whole frame.
    size: width and height of the canonical camera's frame, pixels. Raises EgostreamError for an unknown mapping.
    """

    def __init__(self, mapping: str, size: tuple[int, int]):
        width, height = size
        if mapping == "crop":
            self.offset = np.array([(width - height) / 2, 0.0])
            self.extent = np.array([height, height], float)
        elif mapping == "squash":
            self.offset = np.zeros(2)
            self.extent = np.array([width, height], float)
        else:
            raise EgostreamError(
                f"the weights name an unknown input mapping {mapping!r}; known: crop, squash. "
                "Make the weights folder again"
            )

    def canonical_from_input(self, xy: np.ndarray) -> np.ndarray:
        """Input pixel centres [..., 2] -> canonical pixels [..., 2]. Pixel areas line up, as in any image resize."""
        return (np.asarray(xy, float) + 0.5) * (self.extent / INPUT_SIZE) - 0.5 + self.offset

    def canonical_from_heatmap(self, xy: np.ndarray) -> np.ndarray:
        """Heatmap coordinates [..., 2] -> canonical pixels [..., 2].

        Training targets put u at u * HEATMAP_SIZE / extent, without half a pixel.
        """
        return np.asarray(xy, float) * (self.extent / HEATMAP_SIZE) + self.offset

    def heatmap_from_canonical(self, uv: np.ndarray) -> np.ndarray:
        """Canonical pixels [..., 2] -> heatmap coordinates [..., 2]: the inverse of ``canonical_from_heatmap``."""
        return (np.asarray(uv, float) - self.offset) * (HEATMAP_SIZE / self.extent)


class CameraView:
    """One camera's picture and the network's view of it: the same rays, in pixels of either.

    camera: the calibration of the frames as the camera delivers them; None: the canonical camera's, after mirroring
    and turning. mount: what makes the delivered picture upright. All axes here are those of the upright picture.
    """

    def __init__(self, geometry: InputGeometry, camera: Calibration | None = None, mount: Mount = UPRIGHT):
        self.canonical = canonical_calibration(geometry.calibration)
        delivered = delivered_calibration(self.canonical, mount)
        self.camera, self.mount = camera or delivered, mount
        self.is_canonical = same_camera(self.camera, delivered)  # pixels need no lens then, only the turn
        self.mapping = InputMapping(geometry.mapping, self.canonical.size)

    def camera_from_canonical(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Canonical pixels [..., 2] -> this camera's pixels [..., 2], and which of them the camera sees [...].

        Both pixels lie along the same ray.
        """
        if self.is_canonical:
            return self.delivered_from_canonical(uv), np.ones(np.shape(uv)[:-1], bool)
        rays, seen = self.canonical.lens.unproject(uv)
        if not self.mount.is_upright:
            rays = self.mount.delivered_rays(rays)
        pixels, valid = self.camera.lens.project(rays)
        return pixels, valid & seen

    def delivered_from_canonical(self, uv: np.ndarray) -> np.ndarray:
        """Canonical pixels [..., 2] -> those of the same picture as a canonical camera so mounted delivers it."""
        uv = np.asarray(uv, float)
        return uv if self.mount.is_upright else self.mount.delivered_pixels(uv, self.canonical.size)

    def camera_from_input(self) -> tuple[np.ndarray, np.ndarray]:
        """This camera's pixel under each input pixel [256, 256, 2], and whether the camera sees it [256, 256]."""
        x, y = np.meshgrid(np.arange(INPUT_SIZE), np.arange(INPUT_SIZE))
        return self.camera_from_canonical(self.mapping.canonical_from_input(np.stack([x, y], -1)))

    def in_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Which pixels [..., 2] lie on the camera's own frame [...]."""
        return np.all((pixels >= -0.5) & (pixels < np.array(self.camera.size) - 0.5), axis=-1)

    def check_coverage(self) -> None:
        """Refuse a lens that sees next to nothing of the network's view. Raises EgostreamError."""
        pixels, valid = self.camera_from_input()
        coverage = float((self.in_picture(pixels) & valid).mean())
        if coverage < LEAST_COVERAGE:
            raise EgostreamError(
                f"camera {self.camera.name} covers only {coverage:.0%} of the network's view: "
                "this calibration belongs to another lens. Calibrate again: see calib/README.md"
            )

    def rays(self, heatmap_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heatmap coordinates [15, 2] -> unit rays [15, 3] in upright axes, and which of them mean something [15]."""
        return self.canonical.lens.unproject(self.mapping.canonical_from_heatmap(heatmap_xy))

    def keypoints_in_camera(self, heatmap_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heatmap coordinates [15, 2] -> pixels of the full frame [15, 2], and which of them lie on it [15]."""
        pixels, valid = self.camera_from_canonical(self.mapping.canonical_from_heatmap(heatmap_xy))
        return pixels, valid & self.in_picture(pixels)
