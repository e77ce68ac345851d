#!/usr/bin/env python3
"""How long the body solver takes for a pose, over the bundled clip's true joints.

    python tools/bench_body.py

Prints median and 99th percentile, of wall time and of the processor's own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from egostream.body.solve import BodySolver
from egostream.files import asset
from egostream.truth import SUFFIX

STEP_NS = 33_333_333


def durations_us(joints: np.ndarray, count: int) -> np.ndarray:
    """Wall and processor time [count, 2] of solving poses of a clip [F, 15, 3], over and over, microseconds."""
    solver, taken = BodySolver(), []
    for n in range(count):
        wall, own = time.perf_counter_ns(), time.thread_time_ns()
        solver(n * STEP_NS, joints[n % len(joints)])
        taken.append((time.perf_counter_ns() - wall, time.thread_time_ns() - own))
    return np.array(taken) / 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="poses to solve")
    options = parser.parse_args()
    joints = np.load(asset("sample", f"sample{SUFFIX}"))["joints"].astype(float)
    taken = durations_us(joints, options.count)
    for name, column in zip(("wall time", "processor time"), taken.T):
        print(f"{name:15} median {np.median(column):6.0f} us   p99 {np.percentile(column, 99):6.0f} us")


if __name__ == "__main__":
    main()
