"""What ``egostream run`` says."""

from __future__ import annotations

import io
from types import SimpleNamespace

import msgspec
import pytest
from rich.console import Console

from egostream.calibration.file import canonical_calibration
from egostream.config import RunConfig
from egostream.graph.default_weights import default_weights
from egostream.terminal.run import announce, echo_flags


@pytest.mark.parametrize(
    ("config", "scales", "hinted"),
    [
        (RunConfig(), False, True),
        (RunConfig(), True, False),
        (RunConfig(precision="bf16"), False, False),
        (RunConfig(preset="accuracy"), False, False),
    ],
    ids=["by default", "has them", "named", "not wanted"],
)
def test_run_says_how_it_could_be_faster(tmp_path, config, scales, hinted):
    weights = default_weights()
    if not scales:
        weights = msgspec.structs.replace(weights, folder=tmp_path)
    stream = SimpleNamespace(config=config, camera=canonical_calibration())
    console = Console(file=io.StringIO(), width=500)
    motion = "every-frame" if config.preset == "accuracy" else "trained-step"
    announce(
        console,
        SimpleNamespace(
            weights=weights, config=config, streams=(stream,), backend="openvino", precision="bf16", motion=motion
        ),
    )
    said = console.file.getvalue()
    assert (
        f"openvino bf16, paper causal T=32, motion every {'frame' if motion == 'every-frame' else '67 ms'}, weights"
        in said
    )
    assert (f"python tools/quantize.py {weights.folder}" in said) == hinted


@pytest.mark.parametrize(("mm", "line", "warns"), [(85, "(85 mm off where validated)", False), (412, "412 mm", True)])
def test_run_says_how_good_the_weights_are_known_to_be(mm, line, warns):
    weights = msgspec.structs.replace(default_weights(), metrics={"val_mpjpe_mm": mm})
    stream = SimpleNamespace(config=RunConfig(), camera=canonical_calibration())
    run = {"config": RunConfig(), "streams": (stream,), "backend": "onnxruntime", "precision": "fp32"}
    console = Console(file=io.StringIO(), width=500)
    announce(console, SimpleNamespace(weights=weights, motion="every-frame", **run))
    said = console.file.getvalue()
    assert line in said and ("these weights have learnt nothing" in said) == warns


def test_the_echo_command_that_run_prints():
    assert echo_flags(RunConfig()) == ""
    config = RunConfig(publish="tcp://*:9", stream="left", server_key="keys/server.key_secret")
    assert echo_flags(config) == " --endpoint tcp://127.0.0.1:9 --stream left --server-key keys/server.key"
