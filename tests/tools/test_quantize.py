"""The command that measures the scales of int8."""

from __future__ import annotations

import shutil
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from conftest import ROOT

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine.backends import backend
from egostream.engine.choose import processor_engines
from egostream.graph.default_weights import default_weights
from egostream.graph.scales import FILE
from egostream.graph.weights import load_weights
from egostream.infer.load import load_processor
from egostream.infer.refine import Refiner
from egostream.types import NetworkInput
from tools import quantize
from tools.data.frames import SAMPLE, read_frames


def test_layers_that_cost_too_much_are_kept_and_named(quantised_weights, monkeypatch):
    """The loop that leaves layers out, on made-up costs: the dearest first, twice as many each time, until it does."""
    names = [f"backbone/layer{i}.weight" for i in range(10)]
    monkeypatch.setattr(quantize, "layer_costs", lambda *_: {name: 10 - i for i, name in enumerate(names)})
    monkeypatch.setattr(quantize, "with_qdq_nodes", lambda model, scales, kept: kept)
    stream = msgspec.defstruct("S", [])()

    class Fake:
        def run(self, kept):
            return np.full((2, 15, 3), 0.001 * (6 - len(kept)) / np.sqrt(3)), []

    kept, moved = quantize.choose_layers(Fake(), None, {}, np.zeros((2, 15, 3)), [stream] * 4, max_mm=2.5)
    assert kept == names[:4] and moved.mean() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "is not a weights folder"),
        (["--count", "1"], "at least 2 frames"),
        (["--frames", "no-such.mp4"], "no-such.mp4"),
    ],
)
def test_quantize_names_bad_input(arguments, message):
    done = subprocess.run([sys.executable, "tools/quantize.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_int8_of_the_shipped_weights_streams_the_poses_of_fp32(tmp_path, monkeypatch):
    """As quantize.py finds its scales, without looking at single layers; and as the shipped table has them."""
    monkeypatch.setattr(quantize, "layer_costs", lambda *_: pytest.fail("int8 costs too much"))
    shipped = default_weights()
    images, fps = read_frames(SAMPLE, shipped, limit=8)
    expected, _ = quantize.Stream(shipped, images, fps).run()
    folder = tmp_path / "weights"
    shutil.copytree(shipped.folder, folder)
    (folder / FILE).unlink()
    quantize.main([str(folder), "--count", "8"])
    for weights in (shipped, load_weights(folder)):
        files = processor_engines(RunConfig(), weights, backend("openvino"), "int8", 1, lambda line: None)
        estimator = load_processor(files, weights.step_ns, [CameraView(weights.input)], [Refiner()])
        frames = [NetworkInput(n, 0, round(n * 1e9 / fps), image, {}, 0) for n, image in enumerate(images)]
        moved = 1000 * np.linalg.norm([estimator.estimate(one).joints for one in frames] - expected, axis=-1)
        assert 0.01 < moved.mean() < 6
