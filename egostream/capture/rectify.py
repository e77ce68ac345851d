"""Rectification: a camera's frame -> the 256x256 input that the weights were trained on.

One table per camera, applied by one ``cv2.remap``. A frame is first reduced by 1, 2, 4 or 8 (for JPEG while
decoding, which is nearly free and averages pixels), so that the remap neither skips nor invents detail.
"""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.view import CameraView

REDUCTIONS = (1, 2, 4, 8)


class Rectifier:
    """Warps one camera's frames into the network's input. Raises EgostreamError when the camera sees too little of it."""

    def __init__(self, view: CameraView):
        view.check_coverage()
        self.view = view
        pixels, valid = view.camera_from_input()
        self.reduction = choose_reduction(pixels, valid)
        self.tables = make_tables(pixels, valid, self.reduction)

    def reduced_size(self) -> tuple[int, int]:
        """Width and height of the frame that ``rectify`` wants, rounded up as JPEG decoders do."""
        width, height = self.view.camera.size
        return -(-width // self.reduction), -(-height // self.reduction)

    def rectify(self, reduced: np.ndarray) -> np.ndarray:
        """Reduced BGR frame -> network input, uint8 RGB [256, 256, 3]."""
        warped = cv2.remap(reduced, *self.tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return cv2.cvtColor(warped, cv2.COLOR_BGR2RGB, dst=warped)


def choose_reduction(pixels: np.ndarray, valid: np.ndarray) -> int:
    """The largest reduction that still leaves about one camera pixel per input pixel."""
    across = np.linalg.norm(np.diff(pixels, axis=1), axis=-1)
    both = valid[:, 1:] & valid[:, :-1]
    spacing = float(np.median(across[both]))
    return max(r for r in REDUCTIONS if r <= max(1.0, spacing * 1.05))


def make_tables(pixels: np.ndarray, valid: np.ndarray, reduction: int) -> tuple[np.ndarray, np.ndarray]:
    """Fixed-point tables for the reduced frame; outside the lens they point off the image, which reads black."""
    reduced = (pixels + 0.5) / reduction - 0.5
    reduced = np.where(valid[..., None], reduced, -10.0).astype(np.float32)
    x, y = np.ascontiguousarray(reduced[..., 0]), np.ascontiguousarray(reduced[..., 1])
    return cv2.convertMaps(x, y, cv2.CV_16SC2)
