"""What is said of the new weights: better only where the interval says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tools.adapting.verdict import judge


def reports(tmp_path, count: int, change: np.ndarray | float):
    """Reports before and after of as many recordings, whose errors differ by ``change``."""
    before = 80 + 10 * np.random.default_rng(0).random(count)
    for name, errors in (("before", before), ("after", before + change)):
        rows = [
            {"name": str(k), "frames": 64, "mpjpe_mm": e, "pa_mpjpe_mm": e / 2, "acceleration_error_m_s2": 7.0}
            for k, e in enumerate(errors)
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"sequences": rows}))
    return tmp_path / "before.json", tmp_path / "after.json"


@pytest.mark.parametrize(
    ("count", "change", "word"),
    [
        (12, -3.0, "BETTER"),
        (12, +3.0, "WORSE"),
        (12, 0.0, "NO DIFFERENCE"),
        (12, np.tile([-9.0, 8.0], 6), "NO DIFFERENCE"),  # a mean gain that chance explains
        (7, -3.0, "too few"),  # sure, and of too few to be believed
    ],
)
def test_verdicts(tmp_path, count, change, word):
    verdict = judge(*reports(tmp_path, count, change), has_bodies=False)
    text = "\n".join(verdict.lines())
    assert word in text and verdict.is_better == (word == "BETTER") and verdict.is_worse == (word == "WORSE")
    assert ("not recommended" in text) != verdict.is_better
    assert ("rounded limbs" in text) == verdict.is_better
    assert "95% interval" in text and f"{verdict.figures['mpjpe_mm'][2]:+.1f}" in text
