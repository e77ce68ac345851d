"""``egostream bench``: what it measures, and what it keeps."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from processes import egostream

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.terminal import bench


def test_bench_keeps_what_it_measured_before_a_failure(monkeypatch, capsys):
    def pipeline(config, *_):
        if len(config.streams) > 2:
            raise EgostreamError("too many")
        return {"streams": len(config.streams)}, None

    monkeypatch.setattr(bench, "bench_pipeline", pipeline)
    configs = [bench.with_streams(RunConfig(), count) for count in (1, 2, 4, 2)]
    assert [result["streams"] for result, _ in bench.bench_each(configs, 1, 1)] == [0, 2]
    assert "4 streams: too many" in capsys.readouterr().err
    with pytest.raises(EgostreamError, match="too many"):
        bench.bench_each(configs[2:], 1, 1)


def test_bench_measures_several_streams(tmp_path):
    command = [
        sys.executable,
        "-m",
        "egostream",
        "bench",
        "--seconds",
        "4",
        "--warmup",
        "1",
        "--streams",
        "2",
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["streams"]) == {"0", "1"}
    rates = [stream["poses_per_second"] for stream in result["streams"].values()]
    assert result["poses_per_second"] == pytest.approx(sum(rates)) and 0 < result["fairness"] <= 1
    assert result["fairness"] == pytest.approx(min(rates) / np.mean(rates))
    for text in ("0", "1,x", ""):
        done = subprocess.run([*command[:-3], "--streams", text], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "a number of streams" in done.stderr


def test_bench_reports_what_it_promises(tmp_path):
    done = egostream(
        "bench", "--max-rate", "--seconds", "3", "--warmup", "1", "--json", "--plot", str(tmp_path / "latency.png")
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = {
        "poses_per_second",
        "latency_ms",
        "stages_ms",
        "dropped_frames",
        "rss_mib",
        "cpu_percent",
        "source",
        "backend",
        "precision",
        "temporal",
        "weights",
        "machine",
    }
    assert expected <= set(result)
    assert list(result["latency_ms"]) == ["p50", "p95", "p99", "worst"]
    assert {"decode", "rectify", "handover", "window", "network", "publish", "transport"} <= set(result["stages_ms"])
    assert (
        result["poses_per_second"] > 1
        and result["dropped_frames"] == 0
        and result["latency_ms"]["worst"] >= result["latency_ms"]["p50"] > 0
    )
    assert result["rss_mib"] > 100 and result["cpu_percent"] > 10
    assert (tmp_path / "latency.png").read_bytes()[:4] == b"\x89PNG"
