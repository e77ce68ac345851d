"""Boards and how they are found in a picture: chessboards, ChArUco boards, and grids of AprilTags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

import cv2
import numpy as np

from egostream.errors import EgostreamError
from tools.calibration.fit import equidistant_rays
from tools.calibration.poses import board_pose

Pair = tuple[int, int]  # columns, rows; or width, height
THOROUGH = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
#: Fewer corners of a board that is seen in part say too little: a pose takes six numbers from two of each corner.
LEAST_CORNERS = 8
#: Parts from which OpenCV's finder grows a board of unknown count. From 3x3, the least that it takes, 3 of 8 drawn
#: pictures ended early; from 5x4 none.
LEAST_CHESSBOARDS = ((5, 4), (3, 3))
KALIBR_SPACING = 0.3  # gap between tags as a part of their side, in Kalibr's own sheets
MARKER_SHARE = 0.75  # a ChArUco marker's side as a part of a square's, where it is not given
TRIED_FOCAL = 0.32  # of the width: a lens rough enough for all, to tell layouts of tags apart and to say tilts
SURE_TAGS = 4  # from so many on, one picture decides how a sheet is printed for all that follow
REFINED_SHARE = 0.12  # of a tag's side: half the window in which its corner is found to parts of a pixel
#: Grey levels below the mean at which black begins. Black squares join the tags of Kalibr's sheets: of 180 tags on
#: drawn sheets, OpenCV's own 7 finds 48, and 50 finds 149. A dim picture needs the low one.
THRESHOLDS = (50.0, 20.0, 7.0)


class Board(Protocol):
    """A flat board whose corners are found in pictures."""

    @property
    def text(self) -> str:
        """The board in an error's words."""

    def find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Corners in a grey image [H, W]: positions on the board [N, 3], metres, and pixels [N, 2]; None if unseen."""


def grid(corners: Pair, side: float) -> np.ndarray:
    """Positions [N, 3] of a grid's corners, row by row, z = 0; in the unit of ``side``."""
    x, y = np.meshgrid(np.arange(corners[0]), np.arange(corners[1]))
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3) * float(side)


@dataclass(frozen=True)
class Chessboard:
    """A chessboard with ``corners`` (columns, rows) inside and squares of ``square`` metres."""

    corners: Pair
    square: float

    @property
    def text(self) -> str:
        """The board in an error's words."""
        return f"chessboard with {self.corners[0]}x{self.corners[1]} inner corners"

    def find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions [N, 3] and pixels [N, 2] of all corners; None when not all are seen."""
        ok, pixels = cv2.findChessboardCornersSB(image, self.corners, flags=THOROUGH)
        return (grid(self.corners, self.square), pixels.reshape(-1, 2).astype(float)) if ok else None


def chessboard_in(image: np.ndarray) -> Pair | None:
    """Inner corners (the longer side first) of the largest chessboard that is seen in a grey image; None for none."""
    for least in LEAST_CHESSBOARDS:
        ok, _, meta = cv2.findChessboardCornersSBWithMeta(image, least, cv2.CALIB_CB_LARGER | THOROUGH)
        if ok:
            return max(meta.shape), min(meta.shape)
    return None


def count_seen(images: Iterable[np.ndarray]) -> tuple[Pair | None, int, int]:
    """The chessboard that most images show (longer side first; None for none), in how many, and of how many."""
    sizes = [chessboard_in(image) for image in images]
    counted = Counter(size for size in sizes if size)
    if not counted:
        return None, 0, len(sizes)
    # A board that is half hidden shows fewer corners, never more: among equals, the larger.
    size, times = max(counted.items(), key=lambda item: (item[1], item[0][0] * item[0][1]))
    return size, times, len(sizes)


@dataclass
class CharucoBoard:
    """A ChArUco board with ``corners`` (columns, rows) between its squares; it may be seen in part."""

    corners: Pair
    square: float
    marker: float
    dictionary: str = "4X4_50"
    detectors: list = field(init=False)

    def __post_init__(self) -> None:
        squares = (self.corners[0] + 1, self.corners[1] + 1)
        if not 0 < self.marker < self.square:
            raise EgostreamError("--marker: a ChArUco marker is smaller than --square")
        boards = [cv2.aruco.CharucoBoard(squares, self.square, self.marker, named(self.dictionary)) for _ in range(2)]
        boards[1].setLegacyPattern(True)  # boards with even rows, as OpenCV before 4.6 printed them
        self.detectors = [cv2.aruco.CharucoDetector(board) for board in boards]

    @property
    def text(self) -> str:
        """The board in an error's words."""
        return f"ChArUco board with {self.corners[0]}x{self.corners[1]} inner corners and markers of {self.dictionary}"

    def find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions [N, 3] and pixels [N, 2] of the corners that are seen; None for fewer than LEAST_CORNERS."""
        for number, detector in enumerate(self.detectors):
            pixels, ids, _, _ = detector.detectBoard(image)
            if ids is not None and len(ids) >= LEAST_CORNERS:
                if number:
                    self.detectors.reverse()  # what was found once is tried first from now on
                return spread(grid(self.corners, self.square)[ids.ravel()], pixels.reshape(-1, 2).astype(float))
        return None


@dataclass
class TagBoard:
    """A grid of AprilTags, ``tags`` (columns, rows) of ``side`` metres with gaps of ``gap``; it may be seen in part.

    Printers count rows from the top or from the bottom, and begin with another corner of a tag. The layout is found by
    trying: a wrong one is off by a tag's side.
    """

    tags: Pair
    side: float
    gap: float
    dictionary: str = "APRILTAG_36h11"
    detectors: list = field(init=False)
    layout: tuple[bool, int] | None = None  # whether rows count upwards, and which corner comes first

    def __post_init__(self) -> None:
        dictionary = named(self.dictionary)
        self.detectors = [  # Kalibr prints tags with a border of two bits
            [cv2.aruco.ArucoDetector(dictionary, marker_parameters(bits, level)) for level in THRESHOLDS]
            for bits in (1, 2)
        ]

    @property
    def text(self) -> str:
        """The board in an error's words."""
        return f"grid of {self.tags[0]}x{self.tags[1]} tags of {self.dictionary}"

    def find(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions [N, 3] and pixels [N, 2] of the tags' corners that are seen; None for fewer than LEAST_CORNERS."""
        count = self.tags[0] * self.tags[1]
        seen = [tags_in(image, detectors, count) for detectors in self.detectors]
        best = max(range(len(seen)), key=lambda number: len(seen[number]))
        tags = seen[best]
        if 4 * len(tags) < LEAST_CORNERS:
            return None
        numbers, pixels = np.array(list(tags)), sharpened(image, np.concatenate(list(tags.values())))
        layout = self.layout or self.best_layout(numbers, pixels, (image.shape[1], image.shape[0]))
        if len(tags) >= SURE_TAGS:
            self.layout, self.detectors = layout, [self.detectors[best]]
        return spread(self.positions(numbers, *layout), pixels)

    def positions(self, numbers: np.ndarray, upwards: bool, first: int) -> np.ndarray:
        """Positions [4n, 3] of the corners of tags, in the order in which the detector gives them."""
        column, row = numbers % self.tags[0], numbers // self.tags[0]
        row = self.tags[1] - 1 - row if upwards else row
        corner = np.roll(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), first, axis=0) * self.side
        flat = np.stack([column, row], -1)[:, None] * (self.side + self.gap) + corner
        return np.concatenate([flat.reshape(-1, 2), np.zeros((flat.size // 2, 1))], -1)

    def best_layout(self, numbers: np.ndarray, pixels: np.ndarray, size: Pair) -> tuple[bool, int]:
        """The layout that fits a rough lens best."""
        rays = equidistant_rays(pixels, TRIED_FOCAL * size[0], (size[0] / 2, size[1] / 2))

        def misfit(layout: tuple[bool, int]) -> float:
            points = self.positions(numbers, *layout)
            pose = board_pose(points, rays, np.ones(len(points), bool))
            if pose is None:
                return np.inf
            seen = points @ pose[0].T + pose[1]
            seen = seen / np.linalg.norm(seen, axis=-1, keepdims=True)
            return float(np.square(seen - rays).sum())

        return min(product((False, True), range(4)), key=misfit)


def named(dictionary: str):
    """OpenCV's dictionary of markers by its name without DICT_. Raises EgostreamError for one that it has not."""
    number = getattr(cv2.aruco, f"DICT_{dictionary}", None)
    if number is None:
        known = ", ".join(sorted(name[5:] for name in dir(cv2.aruco) if name.startswith("DICT_")))
        raise EgostreamError(f"--dictionary {dictionary}: known are {known}")
    return cv2.aruco.getPredefinedDictionary(number)


def marker_parameters(border_bits: int, threshold: float):
    """OpenCV's parameters for markers with a border of so many bits, and of a threshold's distance from the mean."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.markerBorderBits, parameters.adaptiveThreshConstant = border_bits, threshold
    return parameters


def tags_in(image: np.ndarray, detectors: list, count: int) -> dict[int, np.ndarray]:
    """Corners [4, 2] of the tags with numbers below ``count`` that any detector finds in an image, by number."""
    tags: dict[int, np.ndarray] = {}
    for detector in detectors:
        corners, numbers, _ = detector.detectMarkers(image)
        for number, tag in zip([] if numbers is None else numbers.ravel(), corners):
            if number < count:
                tags.setdefault(int(number), tag.reshape(4, 2))
    return tags


def sharpened(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Corners [4n, 2] of tags, four of each, to parts of a pixel.

    The window is small against the tag. With OpenCV's own, corners of drawn boards were off by 0.7 to 3 px; so by 0.04.
    """
    refined = []
    for tag in corners.reshape(-1, 4, 2):
        side = np.linalg.norm(tag - np.roll(tag, 1, axis=0), axis=-1).min()
        window = int(np.clip(REFINED_SHARE * side, 1, 5))
        start = tag.reshape(-1, 1, 2).astype(np.float32)
        refined.append(cv2.cornerSubPix(image, start, (window, window), (-1, -1), (3, 50, 1e-3)).reshape(4, 2))
    return np.concatenate(refined).astype(float)


def spread(points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Corners as they are; None when all lie in a line, which has no pose."""
    apart = points[:, :2] - points[:, :2].mean(0)
    thinnest = np.linalg.svd(apart, compute_uv=False)[-1]
    return (points, pixels) if thinnest > 0.05 * np.abs(apart).max() * np.sqrt(len(points)) else None


def board_of(kind: str, corners: Pair, square_mm: float, marker_mm: float | None, dictionary: str | None) -> Board:
    """The board that the command line describes. Raises EgostreamError."""
    square = square_mm / 1000
    if kind == "chessboard":
        return Chessboard(corners, square)
    if kind == "charuco":
        marker = marker_mm / 1000 if marker_mm else MARKER_SHARE * square
        return CharucoBoard(corners, square, marker, dictionary or "4X4_50")
    side = marker_mm / 1000 if marker_mm else square
    gap = square - side if marker_mm else KALIBR_SPACING * side
    if gap < 0:
        raise EgostreamError("--square: the distance from tag to tag is not less than --marker, a tag's side")
    return TagBoard(corners, side, gap, dictionary or "APRILTAG_36h11")
