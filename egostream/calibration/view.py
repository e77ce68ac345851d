"""Where the network's input lies in a camera's picture, and back: pixels, rays, keypoints."""

from __future__ import annotations

import msgspec
import numpy as np

from egostream.errors import EgostreamError

INPUT_SIZE = 256


HEATMAP_SIZE = 64


class InputMapping:
    """Where the network's input and heatmaps lie in the canonical camera's image.

    ``crop``: the centred square of the frame's height; ``squash``: the whole frame.
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
                f"the weights name an unknown input mapping {mapping!r}; known: crop, squash. Make the weights folder again"
            )

    def canonical_from_input(self, xy):
        """Input pixel centres [..., 2] -> canonical pixels. Pixel areas line up, as in any image resize."""
        return (np.asarray(xy, float) + 0.5) * (self.extent / INPUT_SIZE) - 0.5 + self.offset

    def canonical_from_heatmap(self, xy):
        """Heatmap coordinates [..., 2] -> canonical pixels. Training targets put u at u * 64 / extent, no half pixel."""
        return np.asarray(xy, float) * (self.extent / HEATMAP_SIZE) + self.offset

    def heatmap_from_canonical(self, uv):
        """Inverse of ``canonical_from_heatmap``."""
        return (np.asarray(uv, float) - self.offset) * (HEATMAP_SIZE / self.extent)


class InputGeometry(msgspec.Struct, frozen=True):
    """How the canonical camera's frame becomes the network's 256x256 input."""

    calibration: str  # name of the canonical calibration in calib/
    mapping: str  # "crop": square centre, square pixels; "squash": whole frame, aspect lost
