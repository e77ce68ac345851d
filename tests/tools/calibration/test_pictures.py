"""Where pictures come from: folders, videos; what is seen of the lens circle; hints while they are taken."""

from __future__ import annotations

import struct

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
    projection_errors,
)  # fmt: skip

from egostream.calibration.file import load_calibration
from egostream.errors import EgostreamError
from tools import calibrate
from tools.calibration import capture
from tools.calibration.boards import Chessboard
from tools.calibration.hints import BLURRED_PX, Hints, edge_width
from tools.calibration.pictures import frames_of, lens_circle, pictures_from, pictures_in

LENS = DrawnLens("filmed", 168.0, (322.0, 255.0), (640, 512), equisolid)
PICTURES = 18


@pytest.fixture(scope="module")
def shots():
    """Pictures of a board with their true corners."""
    texture = chessboard_texture(9, 6)
    return list(board_pictures(LENS, np.random.default_rng(5), PICTURES, texture, 40, board_points()))


@pytest.fixture(scope="module")
def video(shots, tmp_path_factory):
    """A board filmed at 10 frames a second: half a second in each place, blurred while it moves."""
    path = tmp_path_factory.mktemp("film") / "board.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, LENS.size)
    for image, _ in shots:
        for frame in (cv2.blur(image, (25, 25)), image, image, image, cv2.blur(image, (25, 25))):
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def rotated(path, target):
    """The same video with a quarter turn in its container, as phones write it."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 512 << 16, 0, 1 << 30)
    target.write_bytes(data)
    return target


def test_a_video_calibrates_as_its_pictures_would(video, tmp_path):
    report = tmp_path / "report.png"
    made = calibrate.calibrate(rotated(video, tmp_path / "board.mp4"), (9, 6), 1000 * SQUARE, report=report)
    calibrate.write_calibration(tmp_path / "lens.json", made)
    found = load_calibration(tmp_path / "lens.json")
    assert found.size == LENS.size and made["name"] == "board"
    errors = projection_errors(LENS, found.lens, made["fit"]["reach_deg"])
    assert errors.turned[0] < 0.5 and made["fit"]["pictures"] >= 10
    assert cv2.imread(str(report)).shape[1] > 1000


def test_sharp_frames_that_differ_are_taken_as_the_camera_made_them(video, tmp_path):
    upright = rotated(video, tmp_path / "board.mp4")
    assert next(frames_of(upright)).shape == (512, 640)
    chosen = pictures_from(upright)
    assert PICTURES <= len(chosen) <= 2 * PICTURES
    blurred = [picture for picture in chosen if cv2.Laplacian(picture.read(), cv2.CV_32F).var() < 50]
    assert len(blurred) <= len(chosen) // 4
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(EgostreamError, match="cannot be read: damaged, or a format that FFmpeg lacks"):
        pictures_from(tmp_path / "no.mp4")


def test_a_wrong_count_is_refused_with_the_right_one(shots, tmp_path):
    for number, (image, _) in enumerate(shots[:8]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    for corners in ((4, 6), (10, 7)):
        with pytest.raises(EgostreamError, match="--corners 9x6"):
            calibrate.calibrate(tmp_path, corners, 25.0)


def test_pictures_are_read_in_natural_order_and_hidden_files_are_not(tmp_path):
    for name in ("b10.png", "b9.png", "._b9.png", "b.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [picture.path.name for picture in pictures_in(tmp_path)] == ["b9.png", "b10.png"]


def test_the_lens_circle_is_found_where_it_is_seen(shots):
    u, v, radius = lens_circle(image for image, _ in shots[:6])
    true = LENS.focal * equisolid(np.radians(LENS.limit_deg))
    assert abs(u - 322) < 1.5 and abs(v - 255) < 1.5 and abs(radius - true) < 2
    assert lens_circle([np.full((512, 640), 120, np.uint8)]) is None
    assert lens_circle([shots[0][0][150:350, 200:450]]) is None
    assert lens_circle([]) is None


def test_hints_name_what_is_missing(shots, tmp_path):
    hints = Hints(LENS.size)
    assert "top left" in hints.missing() and "8 more pictures" in hints.missing()
    for _, pixels in shots:
        hints.add(board_points(), pixels)
        for mirrored in ((639, 511), (639, 0), (0, 511)):
            hints.add(board_points(), np.abs(np.array(mirrored) - pixels))
    assert not hints.missing() and hints.map_lines() == ["###"] * 3
    flat = Hints(LENS.size)
    for _ in range(8):
        flat.add(board_points(), np.array([322, 255]) + (board_points()[:, :2] - board_points()[:, :2].mean(0)) * 1000)
    assert "tilt it more" in flat.missing() and "left" in flat.missing()
    hints.draw(tmp_path / "coverage.png", shots[0][0])
    assert cv2.imread(str(tmp_path / "coverage.png")).shape == (512, 640, 3)


def test_a_blurred_board_is_told_from_a_sharp_one(shots):
    image, pixels = shots[0]
    assert edge_width(image, pixels) < BLURRED_PX < edge_width(cv2.GaussianBlur(image, (0, 0), 4), pixels)


def test_capture_says_what_each_picture_adds(shots, tmp_path, monkeypatch, capsys):
    class Camera:
        number = 0

        def __init__(self, _):
            self.isOpened, self.set, self.release = lambda: True, lambda *_: None, lambda: None

        def read(self):
            Camera.number += 1
            return True, cv2.cvtColor(shots[Camera.number % 3][0], cv2.COLOR_GRAY2BGR)

    monkeypatch.setattr(capture.cv2, "VideoCapture", Camera)
    monkeypatch.setattr(capture.time, "monotonic", lambda: 3.0 * Camera.number)
    folder = tmp_path / "board"
    capture.capture_pictures("0", None, folder, 2, Chessboard((9, 6), SQUARE))
    said = capsys.readouterr().err
    assert "missing: board at the" in said and "6 more pictures" in said and "#" in said
    assert (tmp_path / "board_coverage.png").is_file() and len(list(folder.iterdir())) == 2
    capture.capture_pictures("0", None, folder, 1, Chessboard((11, 8), SQUARE))
    assert "no chessboard with 11x8 inner corners in it" in capsys.readouterr().err


def test_a_file_is_no_camera(tmp_path):
    (tmp_path / "board.mp4").write_bytes(b"")
    with pytest.raises(EgostreamError, match="tools/calibrate.py .*board.mp4"):
        capture.capture_pictures(str(tmp_path / "board.mp4"), None, tmp_path / "pictures", 3)
