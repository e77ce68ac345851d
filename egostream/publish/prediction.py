"""Where joints will be: on at a part of the speed that they had, for a tenth of a second at most."""

from __future__ import annotations

import numpy as np

#: Part of the speed between two poses that goes on. Noise is a part of that speed, too: with all of it, errors grow
#: where joints rest (tools/bench_prediction.py).
SHARE = 0.75
#: Movements change within a tenth of a second. Poses further apart tell no speed.
FARTHEST_NS, LONGEST_STEP_NS = 100_000_000, 150_000_000


def ahead(joints: np.ndarray, before: np.ndarray, step_ns: int, ahead_ns: int) -> np.ndarray:
    """Joints [15, 3] so long after the newest. before: joints [15, 3] a time ``step_ns`` earlier.

    Not beyond 100 ms, never backwards, and not moved where the step tells no speed.
    """
    if not 0 < step_ns <= LONGEST_STEP_NS:
        return joints
    return joints + SHARE * min(max(ahead_ns, 0), FARTHEST_NS) / step_ns * (joints - before)
