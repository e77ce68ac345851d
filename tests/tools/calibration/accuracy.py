#!/usr/bin/env python3
"""How exact calibrations are on boards drawn before eight lenses, by noise and seed.

    python tests/tools/calibration/accuracy.py [SEEDS]

Prints for each lens whether it is written, the residual, and the projection error over all that the board covered.
Errors are taken after the best turn of the camera, and as they are in brackets: see ``drawn_boards.Errors``.
Ends with 1 when a lens is refused, or is off by more than 0.3 px in the median or 1 px at the rim covered.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from drawn_boards import EIGHT, DrawnLens, board_points, corner_sets, projection_errors  # noqa: E402

from tools.calibration.fit import starts_of  # noqa: E402
from tools.calibration.judge import Judgement, judge  # noqa: E402
from tools.calibration.reject import fit_robustly  # noqa: E402
from tools.calibration.views import Found, gathered  # noqa: E402

MEDIAN_PX, RIM_PX = 0.3, 1.0


def judged(lens: DrawnLens, sets: list[np.ndarray], points: np.ndarray | None = None) -> Judgement:
    """The judgement of corner sets of one lens, as the tool makes it."""
    points = board_points() if points is None else points
    views = gathered([Found(str(number), points, pixels) for number, pixels in enumerate(sets)])
    return judge(fit_robustly(views, starts_of(lens.size, lens.circle)), lens.size, lens.circle)


def main(seeds: int) -> int:
    """Print a line for every lens and seed; 1 when one misses its bound."""
    missed = 0
    for lens in EIGHT:
        for seed in range(seeds):
            started = time.monotonic()
            made = judged(lens, corner_sets(lens, np.random.default_rng(seed)))
            errors = projection_errors(lens, made.kept.fit.model, float(np.degrees(made.reach)))
            is_right = not made.refusals and errors.turned[0] <= MEDIAN_PX and errors.turned[1] <= RIM_PX
            missed += not is_right
            print(
                f"{'ok  ' if is_right else 'FAIL'} {lens.name:20} seed {seed}: rms {made.rms_px:.3f} px, "
                f"to {np.degrees(made.reach):3.0f} of {np.degrees(made.rim):3.0f} degrees, off by "
                f"{errors.turned[0]:.3f} px, at the rim {errors.turned[1]:.3f} "
                f"(camera not turned: {errors.plain[0]:.3f}, {errors.plain[1]:.3f}), {time.monotonic() - started:.1f} s"
                f" {'; '.join(made.refusals + made.warnings)}"
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
