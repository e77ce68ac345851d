"""Pictures of a board from a camera of this machine, one a second, with hints at what is missing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from egostream.errors import EgostreamError
from tools.calibration.boards import Board, Pair
from tools.calibration.hints import BLURRED_PX, Hints, edge_width

BETWEEN_PICTURES_S = 1.0  # time to move the board
BEFORE_FIRST_S = 3.0  # time to get in place


def capture_pictures(source: str, size: Pair | None, folder: Path, count: int, board: Board | None = None) -> None:
    """Take one picture a second from a camera into ``folder``, as the camera makes them, after those already there.

    board: said after each picture is whether it was found, and what is missing; ``<folder>_coverage.png`` shows it.
    Raises EgostreamError when the camera cannot be opened, stops, or gives another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    camera = open_camera(source, size)
    hints: Hints | None = None
    first, taken, next_s = last_number(folder) + 1, 0, time.monotonic() + BEFORE_FIRST_S
    print(
        f"move the board to a new place and tilt for each picture; first one in {BEFORE_FIRST_S:g} s", file=sys.stderr
    )
    while taken < count:
        ok, frame = camera.read()
        if not ok:
            raise EgostreamError(f"camera {source} stopped after {taken} pictures. Try again, or a shorter cable")
        if time.monotonic() < next_s:
            continue
        height, width = frame.shape[:2]
        if size and (width, height) != size:
            raise EgostreamError(
                f"camera {source} gives {width}x{height}, not --size {size[0]}x{size[1]}. See: egostream cameras"
            )
        save_picture(folder / f"board_{first + taken:02d}.png", frame)
        taken += 1
        print(f"\a{taken}/{count} {width}x{height}", file=sys.stderr)
        if board:
            hints = hints or Hints((width, height))
            say_hints(board, hints, frame, coverage_path(folder))
        next_s = time.monotonic() + BETWEEN_PICTURES_S
    camera.release()


def coverage_path(folder: Path) -> Path:
    """Where the coverage is drawn: beside the folder, as everything in it counts as a picture of the board."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}_coverage.png")


def say_hints(board: Board, hints: Hints, frame: np.ndarray, drawing: Path) -> None:
    """Say and draw what a frame [H, W, 3] adds to the pictures before, and what is missing still."""
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame
    found = board.find(gray)
    if found is None:
        print(f"  no {board.text} in it: hold it nearer, whole, in even light", file=sys.stderr)
    else:
        hints.add(*found)
        if (width := edge_width(gray, found[1])) > BLURRED_PX:
            print(f"  blurred: edges are {width:.0f} pixels wide; hold the board still", file=sys.stderr)
    for line in hints.map_lines():
        print(f"  {line}", file=sys.stderr)
    print(f"  missing: {hints.missing() or 'nothing'} (see {drawing})", file=sys.stderr)
    hints.draw(drawing, gray)


def open_camera(source: str, size: Pair | None) -> cv2.VideoCapture:
    """A camera that was asked for MJPG and for ``size`` (width, height). Raises EgostreamError."""
    if not source.isdigit() and Path(source).is_file():
        raise EgostreamError(f"--capture {source} is a file, no camera. Calibrate from it: tools/calibrate.py {source}")
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not camera.isOpened():
        raise EgostreamError(f"camera {source} cannot be opened. List cameras: egostream cameras")
    camera.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for prop, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), size or ()):
        camera.set(prop, value)
    return camera


def last_number(folder: Path) -> int:
    """The highest number of a picture that an earlier session left in ``folder``; 0 when there is none."""
    numbers = (path.stem.removeprefix("board_") for path in folder.glob("board_*.png"))
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def save_picture(path: Path, image: np.ndarray) -> None:
    """Write an image [H, W, 3] as PNG. Raises OSError, where OpenCV's own writer only says that it failed."""
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
