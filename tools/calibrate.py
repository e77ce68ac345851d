#!/usr/bin/env python3
"""Calibrate a fisheye camera from pictures or a video of a board, and write what ``egostream run`` wants.

    python tools/calibrate.py pictures/ --corners 9x6 --square 25 -o my_headset.json
    python tools/calibrate.py board.mp4 --corners 9x6 -o my_headset.json
    python tools/calibrate.py --capture 0 --size 1280x1024 pictures/      # first: take pictures, one a second

Corners are counted inside the board: a board of 10x7 squares has 9x6. Take 15 or more pictures at the resolution
you will stream at, the board close and tilted, also in the corners of the view. The model is OpenCV's fisheye
(Kannala-Brandt), fitted also beyond 90 degrees. A lens that the pictures do not determine is refused, with the reason;
report.png shows what the fit knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track

from egostream.calibration.file import load_calibration
from egostream.capture.clips import IMAGE_SUFFIXES
from egostream.errors import EgostreamError
from egostream.files import replacing
from tools.calibration.boards import Board, Chessboard, Pair, board_of, count_seen
from tools.calibration.capture import capture_pictures
from tools.calibration.fit import LENS_NAMES, starts_of
from tools.calibration.judge import MIN_PICTURES, Circle, Judgement, judge
from tools.calibration.pictures import Picture, lens_circle, pictures_from, pictures_in
from tools.calibration.reject import LEAST_OUT_PX, fit_robustly
from tools.calibration.views import Found, gathered
from tools.entry import run_tool

COUNTED_PICTURES = 5  # looked at for the board's real count of corners; more than half of them must agree
CIRCLE_PICTURES = 12  # looked at for the lens circle
SAME_PLACE = 0.01  # of the width: a video's frame whose corners all moved less than this shows nothing new


def find_boards(pictures: list[Picture], board: Board) -> tuple[list[Found], Pair]:
    """What is seen of the board in every picture that shows it, and the pictures' common width and height.

    A picture that cannot be read is named and left out. Raises EgostreamError for pictures of several sizes.
    """
    found: list[Found] = []
    size = None
    for picture in track(pictures, "finding corners", console=Console(stderr=True)):
        image = picture.read()
        if image is None:
            print(f"{picture}: cannot be read, left out", file=sys.stderr)
            continue
        height, width = image.shape
        size = size or (width, height)
        if (width, height) != size:
            raise EgostreamError(
                f"{picture} is {width}x{height}, the pictures before it {size[0]}x{size[1]}. Give pictures of one size"
            )
        if (seen := board.find(image)) is not None:
            found.append(Found(str(picture), *seen))
    print(f"the board was found in {len(found)} of {len(pictures)} pictures", file=sys.stderr)
    return found, size or (0, 0)


def refuse_larger_board(pictures: list[Picture], corners: Pair) -> None:
    """Raise EgostreamError when most pictures show a chessboard with more corners than were asked for.

    Of a larger board the finder gives some part, another one in each picture.
    """
    size, times, looked = counted(pictures)
    if size and 2 * times > looked >= 3 and size != (max(corners), min(corners)) and np.prod(size) > np.prod(corners):
        raise EgostreamError(
            f"the board has {size[0]}x{size[1]} inner corners, not {corners[0]}x{corners[1]} "
            f"({times} of {looked} pictures show it). Try --corners {size[0]}x{size[1]}"
        )


def counted(pictures: list[Picture]) -> tuple[Pair | None, int, int]:
    """The chessboard that most of a few pictures show, in how many, and of how many: see ``count_seen``."""
    spread = np.unique(np.linspace(0, len(pictures) - 1, min(COUNTED_PICTURES, len(pictures))).round().astype(int))
    return count_seen(image for n in spread if (image := pictures[n].read()) is not None)


def other_count(pictures: list[Picture], corners: Pair) -> str:
    """Which count of corners the pictures show instead, as the end of a sentence; empty when they show no other."""
    size, times, looked = counted(pictures)
    if size is None or times < 2 or size == (max(corners), min(corners)):
        return ""
    return f". {times} of {looked} pictures show a board with {size[0]}x{size[1]}: try --corners {size[0]}x{size[1]}"


def calibrate(
    source: Path,
    corners: Pair,
    square_mm: float,
    board: Board | None = None,
    aspect: float = 1.0,
    report: Path | None = None,
) -> dict[str, Any]:
    """The calibration in our JSON layout, with how well it fits, from a folder of pictures or a video.

    board: None for a chessboard. aspect: fx / fy of the camera. report: where to draw, also what is refused.
    Raises EgostreamError when the pictures do not determine the lens.
    """
    is_video = source.is_file()
    pictures = pictures_from(source) if is_video else pictures_in(source)
    found, size = found_on(pictures, corners, square_mm, board)
    if is_video:
        found = moved(found, SAME_PLACE * size[0])
    hint = "" if board else f"Check --corners {corners[0]}x{corners[1]} (inner corners)"
    other = lambda: "" if board else other_count(pictures, corners)
    if len(found) < MIN_PICTURES:
        check = f"{hint}, or take more{other()}" if hint else "Check --board and its sizes, or take more"
        raise EgostreamError(f"{len(found)} usable pictures, {MIN_PICTURES} are needed. {check}")
    circle = circle_of(pictures)
    kept = fit_robustly(gathered(found), starts_of(size, circle))
    made = judge(kept, size, circle, aspect)
    say_left_out(made)
    if report:
        draw(made, report, pictures)
    if made.refusals:
        wrong_board = f". {hint}{other()}" if hint and made.is_wrong_board else ""
        raise EgostreamError(f"no calibration was written: {'; '.join(made.refusals)}{wrong_board}")
    return as_json(made, source.resolve().stem if is_video else source.resolve().name)


def found_on(pictures: list[Picture], corners: Pair, square_mm: float, board: Board | None) -> tuple[list[Found], Pair]:
    """What is seen of the board in the pictures, and their size. board: None for a chessboard, of which all is seen.

    Raises EgostreamError for pictures of several sizes, and for a chessboard that has more corners than ``corners``.
    """
    found, size = find_boards(pictures, board or Chessboard(corners, square_mm / 1000))
    if board is None:
        seen = {one.name for one in found}
        refuse_larger_board([picture for picture in pictures if str(picture) in seen], corners)
    return found, size


def moved(found: list[Found], least: float) -> list[Found]:
    """Those whose corners moved more than ``least`` pixels from all that were taken before."""
    taken: list[Found] = []
    for one in found:
        if all(distance(one, other) > least for other in taken):
            taken.append(one)
    return taken


def distance(one: Found, other: Found) -> float:
    """How far the corner that moved most moved from one picture to another, pixels; infinite for other corners."""
    if len(one.pixels) != len(other.pixels):
        return np.inf
    return float(np.linalg.norm(one.pixels - other.pixels, axis=-1).max())


def circle_of(pictures: list[Picture]) -> Circle | None:
    """The lens circle in a few of the pictures; None where it is not seen."""
    some = pictures[:: max(len(pictures) // CIRCLE_PICTURES, 1)]
    return lens_circle(image for picture in some if (image := picture.read()) is not None)


def say_left_out(made: Judgement) -> None:
    """Name the pictures that do not agree with the lens."""
    kept = made.kept
    for name, is_kept, off in zip(kept.views.names, kept.pictures, kept.offs):
        if not is_kept:
            print(f"{name}: off by {off:.1f} px (the others {made.rms_px:.2f}), left out", file=sys.stderr)
    lost = int(kept.views.has[kept.pictures].sum() - kept.corners.sum())
    if lost:
        print(f"{lost} corners further off than {LEAST_OUT_PX:g} px were left out", file=sys.stderr)


def as_json(made: Judgement, name: str) -> dict[str, Any]:
    """A calibration in our layout, with how well it fits and what to be warned of."""
    fx, fy, cx, cy, *k = map(float, made.lens)
    return {
        "schema": 1,
        "name": name,
        "model": "kannala_brandt",
        "size": list(made.size),
        "focal": [fx, fy],
        "center": [cx, cy],
        "k": k,
        "fit": {
            "pictures": int(made.kept.pictures.sum()),
            "rms_px": made.rms_px,
            "worst_px": made.worst_px,
            "held_out_px": made.held_out_px,
            "reach_deg": float(np.degrees(made.reach)),
            "rim_deg": float(np.degrees(made.rim)),
            "rim_sigma_px": float(made.sigma(np.array([made.rim]))[0]),
            "deviations": dict(zip(LENS_NAMES, map(float, made.deviations))),
        },
        **({"warnings": made.warnings} if made.warnings else {}),
    }


def draw(made: Judgement, path: Path, pictures: list[Picture]) -> None:
    """Draw the report, with the picture whose board is furthest out; without matplotlib, say how to get it."""
    try:
        from tools.calibration.report import draw_report
    except ModuleNotFoundError as error:
        print(f"no {path}: {error}. Install what it needs: pip install -e '.[calibrate]'", file=sys.stderr)
        return
    fit, views = made.kept.inside()
    furthest = views.names[int(fit.angles(views).max(-1).argmax())] if len(views) else ""
    shown = [picture.read() for picture in pictures if str(picture) == furthest]
    draw_report(made, path, shown[0] if shown else None)
    print(f"drew {path}", file=sys.stderr)


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
    check_board(options)
    board = board_of(options.board, options.corners, options.square, options.marker, options.dictionary)
    if options.capture:
        capture_pictures(options.capture, options.size, options.source, options.count, board)
        return
    check_options(options)
    result = calibrate(
        options.source,
        options.corners,
        options.square,
        None if options.board == "chessboard" else board,
        options.aspect,
        options.report or options.output.with_name("report.png"),
    )
    write_calibration(options.output, result)
    say_result(options.output, result)


def say_result(output: Path, result: dict[str, Any]) -> None:
    """Print the lens with its deviations, how well it fits, and the next command."""
    fit = result["fit"]
    values = [*result["focal"], *result["center"], *result["k"]]
    for (name, deviation), value in zip(fit["deviations"].items(), values):
        print(f"  {name} {value:10.4f} ± {deviation:.4f}")
    print(f"  held-out pictures: {fit['held_out_px']:.2f} px rms; fitted ones {fit['rms_px']:.2f}")
    print(
        f"  board seen to {fit['reach_deg']:.0f} degrees from the axis, picture to {fit['rim_deg']:.0f}: "
        f"pixels there are uncertain by {fit['rim_sigma_px']:.2f} px"
    )
    for warning in result.get("warnings", []):
        print(f"  warning: {warning}")
    print(
        f"wrote {output}: {fit['rms_px']:.2f} px rms over {fit['pictures']} pictures. "
        f"Next: egostream run --camera 0 --calibration {output}"
    )


def parse_options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of pictures, or a video")
    parser.add_argument("--board", choices=("chessboard", "charuco", "apriltag"), default="chessboard")
    parser.add_argument(
        "--corners",
        type=pair,
        default=(9, 6),
        metavar="WxH",
        help="inner corners (9x6); of apriltag: columns x rows of tags",
    )
    parser.add_argument(
        "--square",
        type=float,
        default=25.0,
        help="side of a square in mm (25); of apriltag: a tag's side, or with --marker from one tag to the next. "
        "The lens does not depend on it",
    )
    parser.add_argument(
        "--marker", type=float, help="side of a marker in mm: charuco (three quarters of --square), apriltag (Kalibr's)"
    )
    parser.add_argument("--dictionary", help="of markers, as OpenCV names it (4X4_50; APRILTAG_36h11)")
    parser.add_argument("--aspect", type=float, default=1.0, help="fx / fy of a camera that stretches its pictures (1)")
    parser.add_argument("-o", "--output", type=Path, default=Path("calibration.json"))
    parser.add_argument("--report", type=Path, help="picture of the fit (report.png beside the output)")
    parser.add_argument("--capture", metavar="CAMERA", help="take pictures from this camera into the folder instead")
    parser.add_argument("--size", type=pair, metavar="WxH", help="resolution to capture at")
    parser.add_argument("--count", type=int, default=30, help="pictures to capture (30)")
    return parser.parse_args()


def check_board(options: argparse.Namespace) -> None:
    """Raise EgostreamError for a board that cannot be."""
    columns, rows = options.corners
    least = 1 if options.board == "apriltag" else 3
    if min(options.corners) < least:
        raise EgostreamError(f"--corners {columns}x{rows}: at least {least} inner corners each way")
    for name in ("square", "marker", "aspect"):
        value = getattr(options, name)
        if value is not None and not 0 < value < np.inf:
            raise EgostreamError(f"--{name} {value:g} is not more than 0")


def check_options(options: argparse.Namespace) -> None:
    """Raise EgostreamError for options of which no calibration can come."""
    if not options.source.exists():
        raise EgostreamError(
            f"no folder {options.source}. Take pictures first: python tools/calibrate.py --capture 0 {options.source}"
        )
    if options.source.is_file() and options.source.suffix.lower() in IMAGE_SUFFIXES:
        raise EgostreamError(f"{options.source} is one picture. Give the folder of all: {options.source.parent}")
    if not options.output.parent.is_dir():
        raise EgostreamError(f"-o {options.output}: no folder {options.output.parent}")


if __name__ == "__main__":
    run_tool(main)
