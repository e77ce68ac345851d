#!/usr/bin/env python3
"""A sheet of frames to look at: what data looks like, and where a network sees the joints in any picture.

    python tools/contact_sheet.py --data data/synthetic --count 24 -o sheet.png
    python tools/contact_sheet.py --data data/synthetic --truth -o labels.png
    python tools/contact_sheet.py --data data/synthetic --beside my-frames/ -o compare.png      # synthetic beside real
    python tools/contact_sheet.py --beside mine/ --calibration mine.json --weights engines/default -o overlay.png
    python tools/contact_sheet.py --beside my-frames/ --heatmap runs/heatmap -o overlay.png     # while training

Every tile is the network's 256x256 input. Right limbs are orange, left ones blue; white is the truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from egostream.calibration.file import canonical_calibration, load_calibration
from egostream.calibration.view import INPUT_SIZE, CameraView, InputGeometry, InputMapping
from egostream.capture.clips import IMAGE_SUFFIXES, natural_key
from egostream.capture.decode import BadFrame, decode_bytes
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.weights import load_weights
from tools.data.datasets import read_data
from tools.data.inputs import InputReader
from tools.entry import run_tool
from tools.training.overlay import draw_pose, sheet

PLAIN = InputGeometry("canonical", "crop")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data to draw frames from, as in tools/evaluate.py")
    parser.add_argument("--split", default="test", help="train, val or test (test)")
    parser.add_argument("--truth", action="store_true", help="draw the labels of --data; hidden joints without a dot")
    parser.add_argument("--beside", type=Path, help="pictures or a folder of them, put first")
    parser.add_argument(
        "--calibration",
        type=Path,
        help="the camera of --beside (canonical; its precropped square frames are known too)",
    )
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--weights", type=Path, help="weights folder whose keypoints are drawn")
    network.add_argument("--heatmap", type=Path, help="run folder of tools/train_heatmap.py whose keypoints are drawn")
    parser.add_argument("--least", type=float, default=0.2, help="least confidence of a drawn keypoint (0.2)")
    parser.add_argument("--count", type=int, default=16, help="frames of --data (16)")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--tile", type=int, default=INPUT_SIZE, help=f"pixels of a tile ({INPUT_SIZE})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG or JPEG to write")
    options = parser.parse_args(arguments)
    for name in ("count", "columns", "tile"):
        if getattr(options, name) < 1:
            raise EgostreamError(f"--{name} is {getattr(options, name)}, expected 1 or more")
    if not (options.data or options.beside):
        raise EgostreamError("nothing to show: give --data, --beside or both")
    return options


def drawn_frames(
    options: argparse.Namespace, geometry: InputGeometry | None
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Random frames of the data, at most one per sequence while they last, with their keypoints if wanted."""
    sequences = [sequence for sequence in read_data(options.data, options.split) if len(sequence)]
    if not sequences:
        raise EgostreamError(f"{options.data} has no {options.split} frames. Choose another --split")
    rng = np.random.default_rng(options.seed)
    if geometry and sequences[0].camera is None and sequences[0].geometry != geometry:
        raise EgostreamError(f"{options.data} holds frames for another network input than these weights see")
    reader = InputReader(geometry or sequences[0].geometry)
    frames = []
    for k in range(options.count):
        sequence = (
            sequences[rng.permutation(len(sequences))[0]]
            if k >= len(sequences)
            else sequences[int(k * len(sequences) / min(options.count, len(sequences)))]
        )
        index = int(rng.integers(len(sequence)))
        keypoints = None
        if options.truth:
            keypoints = reader.keypoints(sequence)[index].copy()
            if sequence.visible is not None:
                keypoints[~sequence.visible[index]] = np.nan
        frames.append((reader.read(sequence, index), keypoints))
    return frames


def pictures(folder: Path, calibration: Path | None, geometry: InputGeometry = PLAIN) -> list[np.ndarray]:
    """Network inputs uint8 RGB [256, 256, 3] of a folder's pictures, or of one picture."""
    paths = (
        sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
        if folder.is_dir()
        else [folder]
    )
    camera = load_calibration(calibration) if calibration else canonical_calibration()
    rectifier = Rectifier(CameraView(geometry, camera))
    crop = InputMapping("crop", camera.size)
    inputs = []
    for path in paths:
        try:
            image = decode_bytes(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        except BadFrame:
            raise EgostreamError(f"picture {path} cannot be read: it is damaged, or no picture") from None
        if not calibration and image.shape[0] == image.shape[1]:  # the canonical camera's frame, already cut square
            image = cv2.copyMakeBorder(
                cv2.resize(image, [int(v) for v in crop.extent]),
                0,
                0,
                int(crop.offset[0]),
                int(crop.offset[0]),
                cv2.BORDER_CONSTANT,
            )
        if image.shape[1::-1] != tuple(camera.size):
            raise EgostreamError(
                f"picture {path} is {image.shape[1]}x{image.shape[0]}, "
                f"calibration {camera.name} {camera.size[0]}x{camera.size[1]}: another camera?"
            )
        inputs.append(rectifier.rectify(cv2.resize(image, rectifier.reduced_size(), interpolation=cv2.INTER_AREA)))
    if not inputs:
        raise EgostreamError(f"{folder} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return inputs


def keypoint_network(options: argparse.Namespace) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None:
    """A finder of keypoints [15, 2] (heatmap coordinates) and confidence [15] in a network input uint8 [256, 256, 3].

    None when no network was asked for.
    """
    if not (options.weights or options.heatmap):
        return None
    import torch

    from tools.network.build import load_network
    from tools.network.vision import HeatmapGraph
    from tools.training.heatmap import load_heatmap

    if options.weights:
        graph = load_network(load_weights(options.weights)).heatmap
    else:
        graph = HeatmapGraph().eval()
        load_heatmap(graph.network, options.heatmap)

    def estimate(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            return heatmap_peaks(graph(torch.from_numpy(frame.copy()).unsqueeze(0))[0][0].numpy())

    return estimate


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    geometry = load_weights(options.weights).input if options.weights else None
    frames: list[tuple[np.ndarray, np.ndarray | None]] = []
    if options.beside:
        frames += [(frame, None) for frame in pictures(options.beside, options.calibration, geometry or PLAIN)]
    if options.data:
        frames += drawn_frames(options, geometry)
    estimate = keypoint_network(options)
    tiles = []
    for frame, truth in frames:
        finer = cv2.INTER_AREA if options.tile < INPUT_SIZE else cv2.INTER_CUBIC
        tile = cv2.resize(frame, (options.tile, options.tile), interpolation=finer)
        if estimate:
            keypoints, confidence = estimate(frame)
            tile = draw_pose(tile, keypoints, np.where(confidence >= options.least, 1.0, 0.0), truth)
        elif truth is not None:
            tile = draw_pose(tile, truth, np.isfinite(truth).all(-1))
        tiles.append(np.ascontiguousarray(tile))
    image = sheet(tiles, options.columns)
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(options.output), image[..., ::-1])
    except (OSError, cv2.error):
        written = False
    if not written:
        raise EgostreamError(f"cannot write {options.output}. Choose another --output, ending in .png or .jpg")
    print(f"{options.output}: {len(tiles)} frames")


if __name__ == "__main__":
    run_tool(main)
