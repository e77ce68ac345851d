"""What the training commands refuse, and what they take where nothing is given."""

from __future__ import annotations

import pytest

import tools.train_heatmap
import tools.train_pose
from egostream.errors import EgostreamError


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("pose", ["--heatmap", "h", "--steps", "0"], "--steps 0"),
        ("pose", [], "--heatmap is needed"),
        ("pose", ["--heatmap", "h", "--cache", "c", "--train-backbone", "all"], "frozen backbone"),
        ("pose", ["--heatmap", "h", "--window", "1"], "--window 1"),
        ("heatmap", ["--ema", "1"], "--ema 1"),
        ("heatmap", ["--lr", "nan"], "--lr nan"),
    ],
)
def test_bad_options_are_refused(tool, arguments, message):
    module = tools.train_pose if tool == "pose" else tools.train_heatmap
    with pytest.raises(EgostreamError, match=message):
        module.main(["--data", "nowhere", "--out", "nowhere", *arguments])


def test_training_goes_on_in_the_time_of_the_weights_it_starts_from(thin_weights_of, capsys):
    """Their tensors fit every form, length and step: nothing later could tell."""
    start = str(thin_weights_of("two seconds").folder)
    options = tools.train_pose.parse(f"--data d --out o --init {start}".split())
    assert (options.temporal, options.window, options.step_ms) == (
        "causal",
        32,
        66.6667,
    ) and not capsys.readouterr().err
    options = tools.train_pose.parse(f"--data d --out o --init {start} --temporal window --window 32".split())
    assert (options.temporal, options.window, options.step_ms) == ("window", 32, 66.6667)
    assert "trained with causal where --temporal window is given" in capsys.readouterr().err
    options = tools.train_pose.parse("--data d --out o --heatmap h".split())
    assert (options.temporal, options.window, options.step_ms) == ("window", 64, None)
