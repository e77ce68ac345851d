"""From a calibration file to a running tracker, by the four commands of the README, on a tiny set."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

pytest.importorskip("moderngl")
pytest.importorskip("lightning")

HEADSET = {
    "name": "my headset",
    "model": "kannala_brandt",
    "size": [640, 480],
    "focal": [170.0, 172.0],
    "center": [322.0, 238.0],
    "k": [-0.02, 0.004, 0.0, 0.0],
}


def tool(name: str, *arguments) -> str:
    """What a tool prints. It runs in this process, which has PyTorch already."""
    out = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [f"tools/{name}.py", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
    ):
        importlib.import_module(f"tools.{name}").main()
    return out.getvalue()


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch):
    """Nothing here is about a GPU, and the threads are those of before at the end."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def opengl():
    from egostream.calibration.file import canonical_calibration
    from egostream.errors import EgostreamError
    from tools.synthetic.picture.render import Renderer

    try:
        Renderer(canonical_calibration(), (64, 64))
    except EgostreamError as error:
        pytest.skip(str(error))


BUDGET = "--val-every 3 --val-frames 4 --workers 0 --threads 2 --warmup 1".split()


def render(out, calibration, *arguments):
    tool("make_synthetic", "--out", out, "--calibration", calibration, "--fps", 10, "--jobs", 1, *arguments)


def train(data, runs, cache) -> Path:
    """Weights after a few steps of everything."""
    heatmap = ["--data", data, "--out", runs / "heatmap", "--size", 128, "--batch", 4, "--steps", 3]
    tool("train_heatmap", *heatmap, *BUDGET)
    sources = ["--data", data, "--heatmap", runs / "heatmap", "--out", runs / "pose", "--cache", cache]
    backbone = "--backbone scratch --backbone-size 128 --backbone-batch 4 --backbone-steps 3".split()
    windows = "--temporal causal --window 8 --stride 4 --embedding-steps 2 --batch 2 --steps 3".split()
    tool("train_pose", *sources, *backbone, *windows, *BUDGET)
    return runs / "pose" / "weights"


def own_frames(folder, calibration) -> Path:
    """The headset's own frames, full size, of a person that training never saw."""
    render(
        folder / "frames", calibration, "--frame-size", "camera", "--train", 0, "--val", 0, "--test", 1, "--frames", 10
    )
    played = folder / "played"
    played.mkdir()
    for picture in (folder / "frames" / "test" / "000000").glob("*.jpg"):
        picture.rename(played / picture.name)
    return played


def test_from_a_calibration_to_a_running_tracker(opengl, pipeline, tmp_path):
    calibration, data = tmp_path / "my_headset.json", tmp_path / "data"
    calibration.write_text(json.dumps(HEADSET))
    render(data, calibration, "--train", 3, "--val", 1, "--test", 1, "--frames", 6)
    weights = train(data, tmp_path / "runs", tmp_path / "cache")
    record = json.loads((weights / "weights.json").read_text())
    assert record["trained"] and record["step_ms"] == pytest.approx(100) and record["network"]["temporal"] == "causal"
    parity = json.loads(
        tool("build_engine", weights, "-o", tmp_path / "engines", "--precision", "fp32", "--count", 2, "--json")
    )
    assert parity["step"]["fp32"]["joints"][0] < 1e-3

    run = pipeline(
        source=str(own_frames(tmp_path, calibration)),
        calibration=str(calibration),
        weights=str(tmp_path / "engines"),  # which names its weights, and has one precision
        fps=10,
        loop=True,
    )
    with run.subscribe() as poses:
        pose = run.wait_first(poses)
        assert pose.message.weights == record["id"] and np.isfinite(pose.joints).all()
        later = run.wait_first(poses)
        assert later.seq > pose.seq
    assert "untrained" not in run.output() and "my headset 640x480" in run.output()

    scores = json.loads(tool("evaluate", "--data", data, "--weights", weights, "--precision", "fp32", "--json"))
    assert scores["overall"]["frames"] == 6 and 0 < scores["overall"]["mpjpe_mm"] < 3000
