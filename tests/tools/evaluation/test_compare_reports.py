"""Two reports of the same recordings, paired."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import bootstrap

from egostream.errors import EgostreamError
from tools import compare_reports
from tools.compare_reports import paired


def report(tmp_path, name: str, errors: list[float], frames: int = 10):
    """A report of as many recordings, as evaluate.py writes it."""
    rows = [
        {"name": f"{k}", "frames": frames, "mpjpe_mm": e, "pa_mpjpe_mm": e / 2, "acceleration_error_m_s2": None}
        for k, e in enumerate(errors)
    ]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"sequences": rows}))
    return path


def test_intervals_are_those_of_scipy():
    rng = np.random.default_rng(0)
    before, after = rng.normal(90, 20, 40), rng.normal(85, 20, 40)
    mean_before, mean_after, difference, low, high = paired(before, after, np.full(40, 64.0))
    assert (mean_before, mean_after) == (pytest.approx(before.mean()), pytest.approx(after.mean()))
    other = bootstrap((after - before,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert difference == pytest.approx((after - before).mean())
    assert (low, high) == (pytest.approx(other.low, abs=0.4), pytest.approx(other.high, abs=0.4))


def test_a_constant_gain_is_certain_and_counts_by_frames(tmp_path, capsys):
    before, after = report(tmp_path, "before", [100, 60, 80]), report(tmp_path, "after", [95, 55, 75])
    compare_reports.main([str(before), str(after), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["mpjpe_mm"] == {"before": 80, "after": 75, "difference": -5, "low": -5, "high": -5}
    assert "acceleration_error_m_s2" not in found
    assert paired(np.array([0.0, 0]), np.array([1.0, 4]), np.array([3.0, 1]))[2] == pytest.approx(1.75)


def test_other_recordings_are_refused(tmp_path):
    before, after = report(tmp_path, "before", [100, 60]), report(tmp_path, "after", [95])
    with pytest.raises(EgostreamError, match="not of the same recordings"):
        compare_reports.main([str(before), str(after)])
    after.write_text("[]")
    with pytest.raises(EgostreamError, match="after.json is no report"):
        compare_reports.main([str(before), str(after)])
