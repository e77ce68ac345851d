"""Runs that are killed, end by time, or diverge."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
import torch
from training_samples import (
    heatmap_arguments,
    last_checkpoint,
)

import tools.train_heatmap
from egostream.errors import EgostreamError
from tools.training.heatmap import HeatmapTraining


def test_a_killed_run_goes_on_as_if_it_had_not_been(dataset, tmp_path, monkeypatch, capsys):
    steps = ("--steps", "4")
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "whole", *steps))
    with monkeypatch.context() as patch:
        real = HeatmapTraining.training_step

        def stop_after_two(self, batch, index):
            if self.trainer.global_step == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return real(self, batch, index)

        patch.setattr(HeatmapTraining, "training_step", stop_after_two)
        with pytest.raises(EgostreamError, match="stopped at step 2"):
            tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed", *steps))
    assert (
        last_checkpoint(tmp_path / "killed")["global_step"] == 2
        and not (tmp_path / "killed" / "heatmap.safetensors").exists()
    )
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed", *steps))
    assert "resuming" in capsys.readouterr().err
    whole, resumed = last_checkpoint(tmp_path / "whole"), last_checkpoint(tmp_path / "killed")
    assert whole["global_step"] == resumed["global_step"] == 4
    for key, value in whole["state_dict"].items():
        if "skipped" not in key and "best" not in key:
            torch.testing.assert_close(resumed["state_dict"][key], value, rtol=1e-3, atol=1e-5)
    assert (tmp_path / "killed" / "overlay.png").stat().st_size > 1000
    # what cannot be resumed is said
    with pytest.raises(EgostreamError, match="another network"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed", *steps, "--ema", "0"))
    (tmp_path / "killed" / "last.ckpt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(EgostreamError, match="cannot be resumed.*--restart"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed", *steps))


def test_a_run_killed_in_its_last_validation_still_gives_its_weights(dataset, heatmap_run, tmp_path, capsys):
    shutil.copytree(heatmap_run, tmp_path, dirs_exist_ok=True)
    kept = last_checkpoint(tmp_path)
    assert torch.isfinite(kept["state_dict"]["best_loss"])  # what a longer run has to beat
    (state,) = (state for state in kept["callbacks"].values() if "elapsed_s" in state)
    assert state["validated_step"] == 2
    # as SIGKILL leaves it: trained to the end, not validated, nothing written
    state["validated_step"] = -1
    kept["state_dict"]["best_loss"].fill_(float("inf"))
    torch.save(kept, tmp_path / "last.ckpt")
    whole = (tmp_path / "heatmap.safetensors").read_bytes()
    (tmp_path / "heatmap.safetensors").unlink()
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "2"))
    assert "at the end of its budget already" in capsys.readouterr().err
    assert (tmp_path / "heatmap.safetensors").read_bytes() == whole


def test_a_run_that_time_ended_knows_its_best(dataset, tmp_path):
    """Its validation comes after its last step; what it found must be beaten by a longer run."""
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "1000", "--max-minutes", "0.01"))
    kept = last_checkpoint(tmp_path)
    (state,) = (state for state in kept["callbacks"].values() if "elapsed_s" in state)
    assert 0 < kept["global_step"] == state["validated_step"] < 1000 and torch.isfinite(kept["state_dict"]["best_loss"])
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", str(kept["global_step"] + 2)))
    assert last_checkpoint(tmp_path)["global_step"] == kept["global_step"] + 2  # and it can go on


def test_a_loss_that_is_no_number_stops_the_run(dataset, tmp_path, monkeypatch):
    real = HeatmapTraining.loss
    monkeypatch.setattr(HeatmapTraining, "loss", lambda self, *a: real(self, *a) * float("nan"))
    with pytest.raises(EgostreamError, match="the loss is nan at step 10.*Lower --lr"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "12", "--batch", "1"))
