#!/usr/bin/env python3
"""How long the body solver and the guess of the room take for a pose, over the bundled clip's true joints.

    python tools/bench_body.py

Prints median and 99th percentile, of wall time and of the processor's own: in the first seconds, while the wearer's
bones are measured, and afterwards. The guess of the room is what a run does for each pose without a head pose.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from egostream.body.solve import BodySolver
from egostream.files import asset
from egostream.head.room import Guess
from egostream.truth import SUFFIX

STEP_NS = 33_333_333
MEASURED = 100  # poses until the bones are known


def durations_us(work: Callable[[int, np.ndarray], object], joints: np.ndarray, count: int) -> np.ndarray:
    """Wall and processor time [count, 2] of work on poses of a clip [F, 15, 3], over and over, microseconds."""
    taken = []
    for n in range(count):
        wall, own = time.perf_counter_ns(), time.thread_time_ns()
        work(n * STEP_NS, joints[n % len(joints)])
        taken.append((time.perf_counter_ns() - wall, time.thread_time_ns() - own))
    return np.array(taken) / 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="poses to solve")
    options = parser.parse_args()
    joints = np.load(asset("sample", f"sample{SUFFIX}"))["joints"].astype(float)
    taken = durations_us(BodySolver(), joints, MEASURED + options.count)
    room = durations_us(Guess().place, joints, options.count)
    for when, rows in (("first seconds", taken[:MEASURED]), ("afterwards", taken[MEASURED:]), ("guessed room", room)):
        for name, column in zip(("wall time", "processor time"), rows.T):
            print(f"{when:14} {name:15} median {np.median(column):5.0f} us   p99 {np.percentile(column, 99):5.0f} us")


if __name__ == "__main__":
    main()
