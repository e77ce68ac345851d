"""The command that measures the scales of int8."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from conftest import ROOT

from tools import quantize


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
