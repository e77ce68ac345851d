"""Averages of motion over runs: the mean of their tensors, judged and written as a run is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from rendered_people import make_here

from egostream.errors import EgostreamError
from egostream.graph.weights import load_weights
from tools import average_motion
from tools.training.best_tensors import load_best, save_best


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Path:
    """One recording to judge by."""
    folder = tmp_path_factory.mktemp("held") / "data"
    make_here(folder, "--train", 0, "--val", 1, "--test", 0, "--frames", 3, "--fps", 15)
    return folder


def test_the_mean_of_two_runs_is_written_as_a_run_is(tmp_path, motion_run, held, capsys):
    first, facts = load_best(motion_run / "motion.safetensors")
    second = {key: value + 0.01 for key, value in first.items()}
    save_best(tmp_path / "second.safetensors", second, facts)
    runs = f"{motion_run / 'motion.safetensors'}=0.25", f"{tmp_path / 'second.safetensors'}=0.75"
    average_motion.main([*runs, "--out", str(tmp_path / "mean"), "--data", str(held)])
    mean, about = load_best(tmp_path / "mean" / "motion.safetensors")
    assert all(torch.allclose(mean[key], first[key] + 0.0075, atol=1e-6) for key in first)
    errors = [float(value) for value in re.findall(r"([\d.]+) mm", capsys.readouterr().out)]
    assert len(errors) == 3 and errors[2] == pytest.approx(about["mpjpe"], abs=0.01) and len(set(errors)) == 3
    weights = load_weights(tmp_path / "mean" / "weights")
    assert weights.form == "body" and weights.metrics["val_mpjpe"] == pytest.approx(about["mpjpe"])


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        (["a=0.5", "b=0.6"], "shares add up to 1.1"),
        (["a"], "a: name a run and its share"),
        (["nothing.safetensors=1"], "no motion in nothing.safetensors"),
    ],
)
def test_what_cannot_be_averaged_is_named(tmp_path, held, runs, problem):
    with pytest.raises(EgostreamError, match=problem):
        average_motion.main([*runs, "--out", str(tmp_path / "mean"), "--data", str(held)])


def test_networks_of_other_shapes_are_refused(tmp_path, motion_run, held):
    one = f"{motion_run / 'motion.safetensors'}=0.5"
    with pytest.raises(EgostreamError, match="default does not fit"):
        average_motion.main([one, "engines/default=0.5", "--out", str(tmp_path / "mean"), "--data", str(held)])
