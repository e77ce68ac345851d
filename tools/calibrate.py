#!/usr/bin/env python3
"""Calibrate a fisheye camera from pictures of a chessboard, and write the calibration that ``egostream run`` wants.

    python tools/calibrate.py pictures/ --corners 9x6 --square 25 -o my_headset.json
    python tools/calibrate.py --capture 0 --size 1280x1024 pictures/      # first: take pictures, one a second

Corners are counted inside the board: a board of 10x7 squares has 9x6. Take 15 or more pictures at the resolution
you will stream at, the board close and tilted, also in the corners of the view. The model is OpenCV's fisheye
(Kannala-Brandt); pictures whose fit is far worse than the others' are left out, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from egostream.calibration.file import load_calibration
from egostream.capture.clips import IMAGE_SUFFIXES, natural_key
from egostream.errors import EgostreamError
from egostream.files import replacing
from tools.entry import run_tool

MIN_PICTURES = 8  # fewer hardly reach the corners of the view; chosen by hand, not measured
#: A picture whose error is this many times the median is left out, if it is also above LEAST_WORST_PX. Chosen by hand;
#: not measured.
WORST_OF_MEDIAN = 3.0
LEAST_WORST_PX = 1.0  # pixels; a picture that fits better stays, however good the others are
BETWEEN_PICTURES_S = 1.0  # time to move the board
BEFORE_FIRST_S = 3.0  # time to get in place
FLAGS = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW | cv2.CALIB_USE_INTRINSIC_GUESS
Pair = tuple[int, int]  # width, height; or columns, rows


def find_corners(paths: list[Path], corners: Pair) -> tuple[dict[Path, np.ndarray], Pair]:
    """Corner pixels [1, N, 2] of every picture that shows the whole board, and the pictures' common width and height.

    A picture that cannot be read is named and left out. Raises EgostreamError for pictures of several sizes.
    """
    found: dict[Path, np.ndarray] = {}
    size = None
    for path in track(paths, "finding corners", console=Console(stderr=True)):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            print(f"{path}: cannot be read, left out", file=sys.stderr)
            continue
        height, width = image.shape
        size = size or (width, height)
        if (width, height) != size:
            raise EgostreamError(
                f"{path} is {width}x{height}, the pictures before it {size[0]}x{size[1]}. Give pictures of one size"
            )
        ok, pixels = cv2.findChessboardCornersSB(image, corners, flags=cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY)
        if ok:
            found[path] = pixels.reshape(1, -1, 2).astype(np.float64)
    print(f"the board was found in {len(found)} of {len(paths)} pictures", file=sys.stderr)
    return found, size or (0, 0)


def board_points(corners: Pair, square_mm: float) -> np.ndarray:
    """Corner positions [1, N, 3] in the board's own axes, metres."""
    x, y = np.meshgrid(np.arange(corners[0]), np.arange(corners[1]))
    return (np.stack([x, y, 0 * x], -1).reshape(1, -1, 3) * square_mm / 1000).astype(np.float64)


def fit(
    found: dict[Path, np.ndarray], board: np.ndarray, size: Pair
) -> tuple[np.ndarray, np.ndarray, dict[Path, float]]:
    """Camera matrix [3, 3], k1..k4 [4, 1], and the error of each picture in pixels.

    Raises EgostreamError when OpenCV finds no lens.
    """
    guess = np.array([[size[0] / np.pi, 0, size[0] / 2], [0, size[0] / np.pi, size[1] / 2], [0, 0, 1.0]])
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 200, 1e-9)
    try:
        _, matrix, k, rotations, translations = cv2.fisheye.calibrate(
            [board] * len(found), list(found.values()), size, guess, np.zeros((4, 1)), flags=FLAGS, criteria=criteria
        )
    except cv2.error as error:
        raise EgostreamError(
            f"no fisheye lens fits these pictures ({error.err}). Add pictures with the board tilted and nearer"
        ) from None
    errors = {}
    for (path, pixels), r, t in zip(found.items(), rotations, translations):
        projected, _ = cv2.fisheye.projectPoints(board, r, t, matrix, k)
        errors[path] = float(np.sqrt(((projected.reshape(-1, 2) - pixels.reshape(-1, 2)) ** 2).sum(1).mean()))
    return matrix, k, errors


def calibrate(folder: Path, corners: Pair, square_mm: float) -> dict[str, Any]:
    """The calibration in our JSON layout, with how well it fits. Raises EgostreamError when pictures are too few."""
    paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
    found, size = find_corners(paths, corners)
    board = board_points(corners, square_mm)
    while True:
        if len(found) < MIN_PICTURES:
            raise EgostreamError(
                f"{len(found)} usable pictures, {MIN_PICTURES} are needed. "
                f"Check --corners {corners[0]}x{corners[1]} (inner corners), or take more"
            )
        matrix, k, errors = fit(found, board, size)
        median = float(np.median(list(errors.values())))
        bad = [path for path, error in errors.items() if error > max(WORST_OF_MEDIAN * median, LEAST_WORST_PX)]
        if not bad:
            break
        for path in bad:
            print(f"{path}: off by {errors[path]:.1f} px (median {median:.2f}), left out", file=sys.stderr)
            del found[path]
    rms_px = float(np.sqrt(np.mean(np.square(list(errors.values())))))
    return {
        "schema": 1,
        "name": folder.resolve().name,
        "model": "kannala_brandt",
        "size": list(size),
        "focal": [matrix[0, 0], matrix[1, 1]],
        "center": [matrix[0, 2], matrix[1, 2]],
        "k": k.ravel().tolist(),
        "fit": {"pictures": len(found), "rms_px": rms_px, "worst_px": max(errors.values())},
    }


def capture_pictures(source: str, size: Pair | None, folder: Path, count: int) -> None:
    """Take one picture a second from a camera into ``folder``, as the camera makes them, after those already there.

    Raises EgostreamError when the camera cannot be opened, stops, or gives another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    camera = open_camera(source, size)
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
        taken, next_s = taken + 1, time.monotonic() + BETWEEN_PICTURES_S
        print(f"\a{taken}/{count} {width}x{height}", file=sys.stderr)
    camera.release()


def open_camera(source: str, size: Pair | None) -> cv2.VideoCapture:
    """A camera that was asked for MJPG and for ``size`` (width, height). Raises EgostreamError."""
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not camera.isOpened():
        raise EgostreamError(f"camera {source} cannot be opened. List cameras: egostream cameras")
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


def write_calibration(path: Path, result: dict) -> None:
    """Put it there only when it is one that a run will read."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(result, indent=2) + "\n")
        load_calibration(draft)


def pair(text: str) -> Pair:
    """Two whole numbers written as WxH. Raises ValueError."""
    first, _, second = text.partition("x")
    return int(first), int(second)


def main() -> None:
    """Take pictures, or calibrate from those taken, as the command line says."""
    options = parse_options()
    if options.capture:
        capture_pictures(options.capture, options.size, options.folder, options.count)
        return
    check_options(options)
    result = calibrate(options.folder, options.corners, options.square)
    write_calibration(options.output, result)
    print(
        f"wrote {options.output}: {result['fit']['rms_px']:.2f} px rms over {result['fit']['pictures']} pictures. "
        f"Next: egostream run --camera 0 --calibration {options.output}"
    )


def parse_options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of pictures")
    parser.add_argument("--corners", type=pair, default=(9, 6), metavar="WxH", help="inner corners of the board (9x6)")
    parser.add_argument(
        "--square", type=float, default=25.0, help="side of a square in mm (25); the lens does not depend on it"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("calibration.json"))
    parser.add_argument("--capture", metavar="CAMERA", help="take pictures from this camera into the folder instead")
    parser.add_argument("--size", type=pair, metavar="WxH", help="resolution to capture at")
    parser.add_argument("--count", type=int, default=30, help="pictures to capture (30)")
    return parser.parse_args()


def check_options(options: argparse.Namespace) -> None:
    """Raise EgostreamError for options of which no calibration can come."""
    if not options.folder.is_dir():
        raise EgostreamError(
            f"no folder {options.folder}. Take pictures first: python tools/calibrate.py --capture 0 {options.folder}"
        )
    if min(options.corners) < 3:
        raise EgostreamError(f"--corners {options.corners[0]}x{options.corners[1]}: at least 3 inner corners each way")
    if not options.output.parent.is_dir():
        raise EgostreamError(f"-o {options.output}: no folder {options.output.parent}")


if __name__ == "__main__":
    run_tool(main)
