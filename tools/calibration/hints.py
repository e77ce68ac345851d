"""What pictures of a board still lack, said while they are taken: parts of the view, tilt, sharpness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tools.calibration.boards import TRIED_FOCAL, Pair
from tools.calibration.fit import equidistant_rays
from tools.calibration.judge import FLAT_DEG, MIN_PICTURES
from tools.calibration.poses import board_pose

ROWS, COLUMNS = 3, 3
PLACES = (
    "top left", "top", "top right",
    "left", "middle", "right",
    "bottom left", "bottom", "bottom right",
)  # fmt: skip
#: Edges of more pixels than this from dark to bright are blurred. Sharp real pictures: 2.1 to 2.6; a drawn one with a
#: Gaussian of 1 pixel: 3.5; of 2 pixels: 5.4.
BLURRED_PX = 4.5
MOST_HALF_PX = 15  # of the square around a corner in which its edges are measured
SEEN_COLOUR, CORNER_COLOUR, TEXT_COLOUR = (90, 160, 60), (60, 220, 255), (255, 255, 255)


@dataclass
class Hints:
    """The corners that were seen so far in pictures of ``size`` (width, height), and what they lack."""

    size: Pair
    pixels: list[np.ndarray] = field(default_factory=list)
    tilts_deg: list[float] = field(default_factory=list)

    def add(self, points: np.ndarray, pixels: np.ndarray) -> None:
        """Count a picture's corners: positions on the board [N, 3] and pixels [N, 2]."""
        self.pixels.append(pixels)
        rays = equidistant_rays(pixels, TRIED_FOCAL * self.size[0], (self.size[0] / 2, self.size[1] / 2))
        pose = board_pose(points, rays, np.ones(len(points), bool))
        if pose:
            sight = rays.mean(0) / np.linalg.norm(rays.mean(0))
            self.tilts_deg.append(float(np.degrees(np.arccos(min(abs(pose[0][:, 2] @ sight), 1)))))

    def corners_in(self) -> np.ndarray:
        """How many corners lie in each ninth of the picture [9], row by row."""
        if not self.pixels:
            return np.zeros(ROWS * COLUMNS, int)
        every = np.concatenate(self.pixels) / self.size
        cells = np.clip((every * (COLUMNS, ROWS)).astype(int), 0, (COLUMNS - 1, ROWS - 1))
        return np.bincount(cells[:, 1] * COLUMNS + cells[:, 0], minlength=ROWS * COLUMNS)

    def missing(self) -> str:
        """What to show next, in one line; empty when nothing is missing."""
        lacking = [place for place, count in zip(PLACES, self.corners_in()) if not count]
        parts = []
        if lacking:
            parts.append(f"board at the {', '.join(lacking)}")
        if self.tilts_deg and np.median(self.tilts_deg) < FLAT_DEG:
            parts.append("tilt it more")
        if len(self.pixels) < MIN_PICTURES:
            parts.append(f"{MIN_PICTURES - len(self.pixels)} more pictures at least")
        return "; ".join(parts)

    def map_lines(self) -> list[str]:
        """The ninths of the picture as three lines of text: # where corners were, . where none was."""
        row = "".join("#" if count else "." for count in self.corners_in())
        return [row[start : start + COLUMNS] for start in range(0, len(row), COLUMNS)]

    def draw(self, path: Path, background: np.ndarray) -> None:
        """Write the last grey picture [H, W] with every corner so far and what is missing, as PNG."""
        image = cv2.cvtColor(background // 2, cv2.COLOR_GRAY2BGR)
        width, height = self.size
        for cell, count in enumerate(self.corners_in()):
            row, column = divmod(cell, COLUMNS)
            low = (column * width // COLUMNS + 2, row * height // ROWS + 2)
            high = ((column + 1) * width // COLUMNS - 3, (row + 1) * height // ROWS - 3)
            cv2.rectangle(image, low, high, SEEN_COLOUR if count else (60, 60, 200), 2)
        for pixels in self.pixels:
            for u, v in pixels.round().astype(int):
                cv2.circle(image, (int(u), int(v)), max(width // 400, 1), CORNER_COLOUR, -1, cv2.LINE_AA)
        scale = width / 1400
        text = f"{len(self.pixels)} pictures. Missing: {self.missing() or 'nothing'}"
        cv2.putText(image, text, (8, height - 12), cv2.FONT_HERSHEY_SIMPLEX, scale, TEXT_COLOUR, 1, cv2.LINE_AA)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def edge_width(image: np.ndarray, pixels: np.ndarray) -> float:
    """How many pixels edges take from dark to bright in a grey image [H, W]: the median over corners [N, 2].

    The range of grey around a corner, as far as half-way to its neighbour, divided by the steepest slope there.
    """
    height, width = image.shape
    smooth = image.astype(np.float32)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8)
    apart = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    widths = []
    for (u, v), half in zip(pixels.round().astype(int), np.clip(apart.min(1) / 2, 3, MOST_HALF_PX).astype(int)):
        if half <= u < width - half and half <= v < height - half:
            part = np.s_[v - half : v + half + 1, u - half : u + half + 1]
            widths.append(float(np.ptp(smooth[part])) / max(float(slope[part].max()), 1e-3))
    return float(np.median(widths)) if widths else 0.0
