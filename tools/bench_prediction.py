#!/usr/bin/env python3
"""By how much ``pose.at(t_ns)`` lowers the error of a pose that is shown 33 or 66 ms after its capture.

    python tools/bench_prediction.py
    python tools/bench_prediction.py --motion FOLDER

The bundled clip's poses come from the shipped weights, at every frame, with the filter and without, and its truth from
its maker. ``--motion`` adds people who move more: .npz files of motion capture at 30 frames a second, with
``positions`` [N, 22, 3] (metres, y up), ``head`` [N, 4] (w, x, y, z: its left, crown and front to the world) and
``clip_start`` [C + 1]. Their joints, seen from the head, get the errors that the network made over the bundled clip,
forwards and backwards without a jump, from a place that is drawn.

Prints mean distances in mm from the joints at the time that is shown: of the pose as it came, and predicted; in the
axes of the camera, and of the room, where the head's own movement does not count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from egostream import Tracker
from egostream.body.quaternions import matrices
from egostream.files import asset
from egostream.publish.prediction import ahead
from egostream.truth import SUFFIX

FILTERS = ("one-euro", "off")
STEP_NS, STEPS = 33_333_333, (1, 2)
#: Points of the motion files that are our joints, in our order; the head's; the longest part of a clip that counts.
POINTS = [2, 7, 8, 9, 3, 4, 5, 15, 16, 17, 18, 11, 12, 13, 14]
HEAD, LONGEST, SHORTEST = 1, 300, 60
#: The head's axes (left, crown, front) -> those of a camera on it that looks straight down.
CAMERA_FROM_HEAD = np.array([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])


def errors_mm(estimated: np.ndarray, truth: np.ndarray, steps: int) -> tuple[float, float]:
    """Mean distances of poses [F, 15, 3] shown so many frames later: as they came, and predicted."""
    rows = range(1, len(truth) - steps)
    held = [estimated[row] - truth[row + steps] for row in rows]
    predicted = [
        ahead(estimated[row], estimated[row - 1], STEP_NS, steps * STEP_NS) - truth[row + steps] for row in rows
    ]
    return tuple(1000 * float(np.linalg.norm(one, axis=-1).mean()) for one in (held, predicted))  # type: ignore


def there_and_back(errors: np.ndarray, count: int, first: int) -> np.ndarray:
    """So many rows of errors [F, 15, 3], forwards and backwards over and over."""
    period = 2 * (len(errors) - 1)
    rows = np.arange(first, first + count) % period
    return errors[np.minimum(rows, period - rows)]


def clips(folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Joints [F, 15, 3], the head [F, 1, 3] and its rotation [F, 3, 3] in the world, of the clips in a folder."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            positions, heads = data["positions"].astype(float), data["head"].astype(float)
            for start, end in zip(data["clip_start"], data["clip_start"][1:]):
                end = min(end, start + LONGEST)
                if end - start >= SHORTEST:
                    points, turns = positions[start:end], matrices(heads[start:end][:, [1, 2, 3, 0]])
                    found.append((points[:, POINTS], points[:, HEAD : HEAD + 1], turns))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, help="folder of motion capture")
    options = parser.parse_args()
    truth = np.load(asset("sample", f"sample{SUFFIX}"))["joints"].astype(float)
    people = clips(options.motion) if options.motion else []
    print(f"{'poses':44} later    as it came   predicted")
    for name in FILTERS:
        with Tracker(assume_canonical=True, filter=name) as tracker:
            estimated = np.array([pose.joints for pose in tracker.recording("sample")], float)
        for steps in STEPS:
            show(f"bundled clip, filter {name}", steps, [errors_mm(estimated, truth, steps)])
            rng = np.random.default_rng(0)
            in_camera, in_room = [], []
            for world, head, turns in people:
                axes = turns @ CAMERA_FROM_HEAD.T  # camera -> world
                seen = np.einsum("fji,fnj->fni", axes, world - head)
                noisy = seen + there_and_back(estimated - truth, len(seen), int(rng.integers(2 * len(truth))))
                in_camera.append(errors_mm(noisy, seen, steps))
                in_room.append(errors_mm(np.einsum("fij,fnj->fni", axes, noisy) + head, world, steps))
            if people:
                show(f"{len(people)} clips, camera axes, filter {name}", steps, in_camera)
                show(f"{len(people)} clips, room axes, filter {name}", steps, in_room)


def show(what: str, steps: int, errors: list[tuple[float, float]]) -> None:
    """A line: the means over clips."""
    held, predicted = np.mean(errors, axis=0)
    change = 100 * (predicted / held - 1)
    print(f"{what:44} {steps * STEP_NS / 1e6:3.0f} ms  {held:7.1f} mm  {predicted:7.1f} mm  {change:+.0f}%")


if __name__ == "__main__":
    main()
