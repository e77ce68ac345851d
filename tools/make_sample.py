#!/usr/bin/env python3
"""Render the bundled sample clip with its ground truth: one person seen by the canonical headset camera.

    python tools/make_sample.py --body mpfb2           # writes egostream/assets/sample/sample.avi and sample.truth.npz
    python tools/make_sample.py --sheet looks.png      # one small frame for each of twelve seeds, to choose one by eye

The clip takes minutes.

The motion is invented and closed, so the clip loops without a jump. Its seeds (person, motion, room, camera) are of the
stream "sample", which tools/make_synthetic.py never draws from: no weights have seen it in training.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from rich.progress import track

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import INPUT_SIZE
from egostream.errors import EgostreamError
from egostream.files import replacing
from egostream.truth import Truth, save_truth, truth_path
from tools.entry import run_tool

if TYPE_CHECKING:
    from tools.synthetic.movement.movement import Movement

FPS, FRAMES = 30.0, 90
CLOSING = 20  # frames over which the motion returns to its start
STREAM = 1_000_003  # the first number of every seed of ours, far from make_synthetic's splits
SEED = 11
NOISE = 0.25  # of what its sensor would add: noise is what a Motion-JPEG clip spends its bytes on


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).resolve().parents[1] / "egostream/assets/sample/sample.avi"
    )
    parser.add_argument("--body", type=Path, help="MakeHuman folder (a plain built-in body)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"which person, motion and room ({SEED})")
    parser.add_argument("--quality", type=int, default=50, help="JPEG quality (50)")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"length of the clip ({FRAMES})")
    parser.add_argument("--sheet", type=Path, help="write a sheet of small first frames instead of the clip")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        raise EgostreamError(f"--seed is {options.seed}, expected 0 or more")
    if options.frames < 2 * CLOSING:
        raise EgostreamError(f"--frames is {options.frames}, expected at least {2 * CLOSING}")
    return options


def closed(movement: Movement, frames: int) -> Movement:
    """``frames`` frames whose last leads back into the first: the end is blended into what came before the start."""
    from tools.synthetic.movement.movement import crop
    from tools.synthetic.movement.rotations import slerp
    from tools.synthetic.movement.segments import global_rotations, local_rotations

    body = crop(movement, CLOSING, CLOSING + frames)
    weight = np.zeros(frames)
    weight[-CLOSING:] = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, CLOSING + 1) / (CLOSING + 1))
    # Which of the movement's frames ahead of the clip's first each frame is blended with.
    before = np.concatenate([np.zeros(frames - CLOSING, int), np.arange(CLOSING)])
    blend = lambda now, then: now + weight.reshape(-1, *[1] * (now.ndim - 1)) * (then[before] - now)
    local = slerp(local_rotations(body.rotations), local_rotations(movement.rotations)[before], weight[:, None])
    return replace(
        body,
        root=blend(body.root, movement.root),
        rotations=global_rotations(local),
        grip=blend(body.grip, movement.grip),
    )


def take(people, renderer, seed: int, frames: int, count: int | None = None):
    """One seed's movement, and the shots of its clip: ``count`` of them, or all."""
    from tools.synthetic.movement.activities import random_activity
    from tools.synthetic.picture.sequence import shoot

    rng = np.random.default_rng([STREAM, seed])
    body = people.sample(rng)
    movement = closed(random_activity(rng, (frames + CLOSING + 2) / FPS, FPS), frames)
    return movement, shoot(renderer, body, movement, rng, FPS, "boom", count or frames, NOISE)


def write_sheet(people, renderer, path: Path) -> None:
    """Write the first frames of twelve seeds as one picture."""
    tiles = []
    for seed in track(range(12), "rendering"):
        movement, shots = take(people, renderer, seed, FRAMES, 1)
        image = np.ascontiguousarray(next(iter(shots)).rgb[..., ::-1])
        tiles.append(
            cv2.putText(
                image,
                f"{seed} {movement.name}",
                (4, 12),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.4,
                (255, 255, 255),
                1,
                cv2.LINE_AA,
            )
        )
    if not cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, 12, 4)])):
        raise EgostreamError(f"cannot write {path}. Choose another --sheet")


def write_clip(people, renderer, options) -> None:
    """Render the clip, and write it and its truth. Raises EgostreamError when not every frame could be written."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.output, f".{options.output.name}.draft.avi") as draft:
        motion, labels = film(people, renderer, options, draft)
        truth_path(options.output).unlink(missing_ok=True)  # never beside another clip's
    column = lambda name: np.stack([getattr(shot, name) for shot in labels])
    save_truth(options.output, Truth(column("joints"), column("keypoints"), column("visible"), FPS))
    print(f"{options.output}: {motion.name}, {len(labels)} frames, {options.output.stat().st_size / 2**20:.1f} MiB")


def film(people, renderer, options, draft: Path) -> tuple:
    """Render the pictures into the file ``draft``. Returns the motion and the shots, one a frame."""
    # we encode the pictures ourselves: OpenCV's Motion-JPEG writers ignore the quality asked for
    writer = cv2.VideoWriter(
        str(draft),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*"MJPG"),
        FPS,
        renderer.size,
        [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1],
    )
    if not writer.isOpened():
        raise EgostreamError(f"cannot write {options.output}. Choose another --output")
    motion, shots = take(people, renderer, options.seed, options.frames)
    labels = []
    for shot in track(shots, "rendering", total=options.frames):
        writer.write(
            cv2.imencode(".jpg", shot.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, options.quality])[1].reshape(1, -1)
        )
        labels.append(shot)
    writer.release()
    check = cv2.VideoCapture(str(draft), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    written = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
    if written != len(labels):
        raise EgostreamError(
            f"{options.output}: {written} of {len(labels)} frames could be written. Free some space and try again"
        )
    return motion, labels


def main(arguments: list[str] | None = None) -> None:
    from tools.synthetic.people.capsules import Capsules
    from tools.synthetic.people.makehuman import MakeHuman
    from tools.synthetic.picture.render import Renderer

    options = parse(arguments)
    people = MakeHuman(options.body) if options.body else Capsules()
    calibration = canonical_calibration()
    if options.sheet:
        write_sheet(people, Renderer(calibration, (INPUT_SIZE, INPUT_SIZE)), options.sheet)
    else:
        write_clip(people, Renderer(calibration, calibration.size, mapping=None), options)


if __name__ == "__main__":
    run_tool(main)
