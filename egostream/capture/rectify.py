"""Rectification: any calibrated camera's frame -> the 256x256 input that the weights were trained on.

One table per camera, applied by one ``cv2.remap``. A frame is first reduced by 1, 2, 4 or 8 (for JPEG while
decoding, which is nearly free and averages pixels), so that the remap neither skips nor invents detail.
"""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration, same_camera
from egostream.calibration.view import INPUT_SIZE, InputGeometry, InputMapping
from egostream.errors import EgostreamError

REDUCTIONS = (1, 2, 4, 8)




class Rectifier:
    """Warps one camera's frames into a weights' input geometry.

    camera: the calibration of the frames, or None to assume the canonical camera.
    """

    def __init__(self, geometry: InputGeometry, camera: Calibration | None = None):
        self.canonical = canonical_calibration(geometry.calibration)
        self.camera = camera or self.canonical
        self.mapping = InputMapping(geometry.mapping, self.canonical.size)
        x, y = np.meshgrid(np.arange(INPUT_SIZE), np.arange(INPUT_SIZE))
        pixels, valid = self.camera_from_canonical(self.mapping.canonical_from_input(np.stack([x, y], -1)))
        self.coverage = self.covered(pixels, valid)
        if self.coverage < 0.05:
            raise EgostreamError(
                f"camera {self.camera.name} covers only {self.coverage:.0%} of the network's view: this calibration belongs to another lens. Calibrate again: see calib/README.md"
            )
        self.reduction = self.choose_reduction(pixels, valid)
        self.tables = self.make_tables(pixels, valid)

    def camera_from_canonical(self, uv):
        """Canonical pixels -> this camera's pixels, along the same ray."""
        if same_camera(self.camera, self.canonical):
            return np.asarray(uv, float), np.ones(np.shape(uv)[:-1], bool)
        rays, seen = self.canonical.lens.unproject(uv)
        pixels, valid = self.camera.lens.project(rays)
        return pixels, valid & seen

    def covered(self, pixels, valid) -> float:
        return float((self.in_picture(pixels) & valid).mean())

    def in_picture(self, pixels) -> np.ndarray:
        """Which pixels [..., 2] lie on the camera's own frame."""
        return ((pixels >= -0.5) & (pixels < np.array(self.camera.size) - 0.5)).all(-1)

    def choose_reduction(self, pixels, valid) -> int:
        """The largest reduction that still leaves about one camera pixel per input pixel."""
        across = np.linalg.norm(np.diff(pixels, axis=1), axis=-1)
        both = valid[:, 1:] & valid[:, :-1]
        spacing = float(np.median(across[both]))
        return max(r for r in REDUCTIONS if r <= max(1.0, spacing * 1.05))

    def make_tables(self, pixels, valid):
        """Fixed-point tables for the reduced frame; outside the lens they point off the image, which reads black."""
        r = self.reduction
        reduced = (pixels + 0.5) / r - 0.5
        reduced = np.where(valid[..., None], reduced, -10.0).astype(np.float32)
        return cv2.convertMaps(np.ascontiguousarray(reduced[..., 0]), np.ascontiguousarray(reduced[..., 1]), cv2.CV_16SC2)

    def reduced_size(self) -> tuple[int, int]:
        """Width and height of the frame that ``rectify`` wants, rounded up as JPEG decoders do."""
        return tuple(-(-side // self.reduction) for side in self.camera.size)

    def rectify(self, reduced: np.ndarray) -> np.ndarray:
        """Reduced BGR frame -> network input, uint8 RGB [256, 256, 3]."""
        warped = cv2.remap(reduced, *self.tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return cv2.cvtColor(warped, cv2.COLOR_BGR2RGB, dst=warped)

    def rays(self, heatmap_xy):
        """Heatmap coordinates [15, 2] -> unit directions [15, 3] in camera axes, and which of them mean something [15]."""
        return self.canonical.lens.unproject(self.mapping.canonical_from_heatmap(heatmap_xy))

    def keypoints_in_camera(self, heatmap_xy):
        """Heatmap coordinates [15, 2] -> pixels on the camera's own full-size frame, and which of them lie on it [15]."""
        pixels, valid = self.camera_from_canonical(self.mapping.canonical_from_heatmap(heatmap_xy))
        return pixels, valid & self.in_picture(pixels)
