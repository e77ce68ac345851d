"""Boards are found where they were drawn: chessboards, ChArUco boards, and sheets of AprilTags however printed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_boards import (
    SQUARE,
    DrawnLens,
    board_pictures,
    board_points,
    chessboard_texture,
    equisolid,
    tag_corners,
    tag_texture,
)  # fmt: skip

from egostream.errors import EgostreamError
from tools.calibration.boards import CharucoBoard, Chessboard, TagBoard, board_of, chessboard_in, count_seen

SMALL = DrawnLens("small", 190.0, (322.0, 255.0), (640, 512), equisolid)
LARGE = DrawnLens("large", 290.0, (482.0, 385.0), (960, 768), equisolid)


@pytest.fixture(scope="module")
def chessboards():
    return list(board_pictures(SMALL, np.random.default_rng(1), 4, chessboard_texture(9, 6), 40, board_points()))


def test_a_chessboard_is_found_to_parts_of_a_pixel(chessboards):
    for image, truth in chessboards:
        points, pixels = Chessboard((9, 6), SQUARE).find(image)
        off = min(np.linalg.norm(pixels - one, axis=-1).mean() for one in (truth, truth[::-1]))
        assert off < 0.4 and np.allclose(points, board_points())
    assert Chessboard((11, 8), SQUARE).find(chessboards[0][0]) is None


def test_the_count_of_corners_is_found_by_looking(chessboards):
    images = [image for image, _ in chessboards]
    assert count_seen(images) == ((9, 6), 4, 4)
    blank = np.full((100, 120), 90, np.uint8)
    assert chessboard_in(blank) is None and count_seen([blank]) == (None, 0, 1)


@pytest.mark.parametrize("is_legacy", [False, True])
def test_a_charuco_board_is_found_in_part_and_of_either_pattern(is_legacy):
    # Six rows of squares: with an even count, the patterns before and after OpenCV 4.6 differ.
    squares, made = (10, 6), board_points(9, 5)
    sheet = cv2.aruco.CharucoBoard(
        squares, SQUARE, 0.75 * SQUARE, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    )
    sheet.setLegacyPattern(is_legacy)
    texture = cv2.copyMakeBorder(sheet.generateImage((400, 240)), 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    board = CharucoBoard((9, 5), SQUARE, 0.75 * SQUARE, "5X5_100")
    seen = 0
    for image, truth in board_pictures(LARGE, np.random.default_rng(2), 3, texture, 40, made):
        image[:, : int(truth[:, 0].min() + 25)] = 100  # a hand before the board
        if (found := board.find(image)) is not None:
            at = np.round(found[0][:, :2] / SQUARE).astype(int)
            off = np.linalg.norm(found[1] - truth[at[:, 1] * 9 + at[:, 0]], axis=-1)
            assert np.median(off) < 0.3
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize(
    ("turns", "upwards", "border_bits"), [(0, True, 2), (1, False, 1), (2, True, 1), (3, False, 2)]
)
def test_a_sheet_of_tags_is_found_however_it_was_printed(turns, upwards, border_bits):
    board = TagBoard((6, 6), SQUARE, 0.3 * SQUARE)
    texture, corners = tag_texture(6, 6, turns, upwards, border_bits), tag_corners(6, 6)
    for image, truth in board_pictures(LARGE, np.random.default_rng(1), 3, texture, 40, corners):
        points, pixels = board.find(image)
        apart = np.linalg.norm(pixels[:, None] - truth[None], axis=-1)
        assert len(pixels) >= 40 and np.median(apart.min(1)) < 0.1
        # Found positions are the drawn ones but for a turn or mirroring of the whole sheet: distances agree.
        true = corners[apart.argmin(1)]
        far = lambda places: np.linalg.norm(places[:, None] - places[None], axis=-1)
        assert np.quantile(np.abs(far(points) - far(true)), 0.95) < 1e-6


def test_boards_that_cannot_be_are_refused():
    with pytest.raises(EgostreamError, match="smaller than --square"):
        board_of("charuco", (9, 6), 20, 25, None)
    with pytest.raises(EgostreamError, match="known are .*APRILTAG_36h11"):
        board_of("apriltag", (6, 6), 20, None, "36h99")
    with pytest.raises(EgostreamError, match="from tag to tag"):
        board_of("apriltag", (6, 6), 20, 25, None)
    assert board_of("apriltag", (6, 6), 20, None, None).gap == pytest.approx(0.006)
