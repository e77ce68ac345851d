"""Rectification: a camera's frame -> the 256x256 input that the weights were trained on.

One table per camera, applied by one ``cv2.remap``. A frame is first reduced by 1, 2, 4 or 8 (for JPEG while
decoding, which is nearly free and averages pixels), so that the remap neither skips nor invents detail.
"""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.view import CameraView

#: What a frame can be divided by: the sizes at which JPEG decoders decode without making the full picture first.
REDUCTIONS = (1, 2, 4, 8)
#: A reduction may leave this part fewer camera pixels than input pixels: 4 camera pixels for each input pixel, less a
#: rounding, still count as 4. Chosen by hand; not measured.
REDUCTION_SLACK = 1.05
OFF_PICTURE = -10.0  # pixels: a place that the remap reads as black


class Rectifier:
    """Warps one camera's frames into the network's input.

    Raises EgostreamError when the camera sees too little of the network's view.
    """

    def __init__(self, view: CameraView):
        view.check_coverage()
        self.view = view
        pixels, valid = view.camera_from_input()
        self.reduction = choose_reduction(pixels, valid)
        self.tables = make_tables(pixels, valid, self.reduction)

    def reduced_size(self) -> tuple[int, int]:
        """Width and height of the frame that ``rectify`` wants, rounded up as JPEG decoders do."""
        return reduced_by(self.view.camera.size, self.reduction)

    def rectify(self, reduced: np.ndarray) -> np.ndarray:
        """Reduced BGR frame, uint8 [H, W, 3] -> network input, uint8 RGB [256, 256, 3]."""
        warped = cv2.remap(reduced, *self.tables, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return cv2.cvtColor(warped, cv2.COLOR_BGR2RGB, dst=warped)


def reduced_by(size: tuple[int, int], reduction: int) -> tuple[int, int]:
    """Width and height of a frame divided by a reduction, rounded up as JPEG decoders do."""
    width, height = size
    return -(-width // reduction), -(-height // reduction)


def choose_reduction(pixels: np.ndarray, valid: np.ndarray) -> int:
    """The largest reduction that still leaves about one camera pixel per input pixel.

    pixels: of the camera under the input's pixels [256, 256, 2]; valid: which of them it sees [256, 256].
    """
    across = np.linalg.norm(np.diff(pixels, axis=1), axis=-1)
    both = valid[:, 1:] & valid[:, :-1]
    spacing = float(np.median(across[both]))
    return max(r for r in REDUCTIONS if r <= max(1.0, spacing * REDUCTION_SLACK))


def make_tables(pixels: np.ndarray, valid: np.ndarray, reduction: int) -> tuple[np.ndarray, np.ndarray]:
    """Fixed-point tables [256, 256, 2] and [256, 256] for ``cv2.remap`` of a reduced frame.

    pixels: of the full frame, under the input's pixels [256, 256, 2]. Where ``valid`` [256, 256] is false, the tables
    point off the picture, which reads black. Fixed point takes 0.22 ms for a frame.
    """
    reduced = (pixels + 0.5) / reduction - 0.5
    reduced = np.where(valid[..., None], reduced, OFF_PICTURE).astype(np.float32)
    x, y = np.ascontiguousarray(reduced[..., 0]), np.ascontiguousarray(reduced[..., 1])
    first, second = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return first, second
