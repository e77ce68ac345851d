#!/usr/bin/env python3
"""Draw a clip and the avatar that it moves as a moving picture: the camera's frame, and the avatar beside it.

    python tools/draw_avatar.py -o docs/avatar.webp                                          # the bundled sample
    python tools/draw_avatar.py --clip my-clip.mp4 --calibration my-camera.json --avatar me.vrm -o mine.webp

Poses are those of ``egostream run``, frame by frame. They are solved and placed in a room as the bridges do. The VMC
bridge's own sender sends each one to the page of tools/show_avatar.py, which a headless Chromium draws. The sample's
end leads back into its beginning: it is played twice, and drawn the second time.

Chromium and npm are needed (Debian: apt-get install chromium npm), and pip install -e '.[avatar,plot]'.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from egostream.body.solve import BodySolver
from egostream.errors import EgostreamError
from egostream.head.bodies import GuessedRoom
from egostream.track.tracker import Tracker
from tools.avatar.film import Frame, filming
from tools.avatar.packages import packages_folder
from tools.avatar.person import SEED
from tools.data.frames import SAMPLE
from tools.draw_clip import PANEL, Drawn, camera_panel, captioned, read_images, write
from tools.entry import run_tool
from tools.show_avatar import avatar_file

FINER = 2  # the avatar is drawn so many times as large, and averaged down
VIEWS = ("free", "front", "side", "left", "back")


@dataclass(frozen=True)
class Moment:
    """One frame of the clip: the camera's picture with its pose, and what is sent of it."""

    drawn: Drawn
    frame: Frame


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line. Raises EgostreamError for what cannot be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=SAMPLE, help="video or image folder (the bundled sample)")
    parser.add_argument("--calibration", default="", help="of the camera that took it (the canonical one)")
    parser.add_argument("--weights", default="", help="weights folder (the shipped ones)")
    parser.add_argument("--avatar", type=Path, help=".vrm file (a person that is made)")
    parser.add_argument("--bodies", type=Path, help="make the person of MakeHuman's mesh, in this folder")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of its shape and clothes ({SEED})")
    parser.add_argument("--packages", type=Path, help="folder with node_modules (the cache; npm fills it)")
    parser.add_argument("--view", choices=VIEWS, default="free", help="where the avatar is looked at from (free)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of what is drawn, at most (3)")
    parser.add_argument("--fps", type=float, default=12.0, help="frames per second of the picture (12)")
    parser.add_argument("--quality", type=int, default=80, help="of a WebP, 1 to 100 (80)")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".webp or .gif to write")
    options = parser.parse_args(arguments)
    options.make = None
    if options.output.suffix.lower() not in (".webp", ".gif"):
        raise EgostreamError(f"--output {options.output}: expected a .webp or a .gif")
    for name, least in (("seconds", 0.1), ("fps", 1), ("quality", 1)):
        if getattr(options, name) < least:
            raise EgostreamError(f"--{name} is {getattr(options, name)}, expected {least} or more")
    return options


def moments(options: argparse.Namespace) -> Iterator[tuple[float, Moment]]:
    """Every frame of the clip with its time in seconds; of the sample, of its second lap."""
    laps = 2 if options.clip == SAMPLE else 1
    solver, room, count = BodySolver(), GuessedRoom(walks=False), 0
    is_ours = options.clip == SAMPLE and not options.calibration
    with Tracker(options.calibration, options.weights, assume_canonical=is_ours) as tracker:
        for lap in range(laps):
            images, fps = read_images(options.clip)
            for number, image in enumerate(images):
                t_ns, count = round(count * 1e9 / fps), count + 1
                pose = tracker(image, t_ns)
                placed = room(solver(t_ns, pose.joints, pose.confidence), pose.joints, solver.body)
                if lap == laps - 1:
                    yield number / fps, Moment(Drawn(image[..., ::-1], pose), Frame(placed, solver.body))


def chosen(options: argparse.Namespace) -> list[Moment]:
    """The moments to draw, as far apart as the picture's rate says."""
    found: list[Moment] = []
    for seconds, moment in moments(options):
        if seconds >= options.seconds:
            break
        if seconds >= len(found) / options.fps - 1e-9:
            found.append(moment)
    if not found:
        raise EgostreamError(f"{options.clip} has no frame that could be drawn")
    return found


async def pictures(options: argparse.Namespace, found: list[Moment]) -> list[np.ndarray]:
    """Both panels of every moment side by side, uint8 RGB."""
    shown = []
    modules = packages_folder(options.packages)
    async with filming(avatar_file(options), modules, PANEL * FINER, options.view) as film:
        for moment in found:
            avatar = cv2.resize(await film.shot(moment.frame), (PANEL, PANEL), interpolation=cv2.INTER_AREA)
            left = captioned(camera_panel(moment.drawn), "what the camera on the head sees")
            shown.append(np.hstack([left, captioned(avatar, "a VRM avatar that VMC moves")]))
    return shown


def main(arguments: list[str] | None = None) -> None:
    """Estimate, send, draw, write."""
    options = parse(arguments)
    write(options.output, asyncio.run(pictures(options, chosen(options))), options.fps, options.quality)


if __name__ == "__main__":
    run_tool(main)
